/** The version of the contract that runners are built against with this package. */
export const WIT_VERSION: string;

/** An error that a task can end with. `tag` is its case in the contract: it says whose fault the failure was. */
export class RunnerError extends Error {
  readonly tag: string;
}
export class InvalidTask extends RunnerError {
  constructor(text: string);
}
export class InvalidInput extends RunnerError {
  constructor(text: string);
}
export class Failed extends RunnerError {
  constructor(text: string);
}
export class Cancelled extends RunnerError {
  constructor();
}
export class PortError extends RunnerError {
  constructor(tag: string, text: string);
}

export interface PartInfo {
  dataId: string;
  name: string;
  dataType: string;
  size: number;
  domainId: string;
  createdAt?: string;
  updatedAt?: string;
}

export interface Part {
  readonly info: PartInfo;
  readonly name: string;
  readonly size: number;
  /** How much of it the stream has read, from 0 to 1. */
  readonly done: number;
  chunks(): Generator<Uint8Array>;
  lines(): Generator<string>;
  bytes(): Uint8Array;
  text(): string;
  json(): unknown;
  readAt(offset: number, maxBytes: number): Uint8Array;
}

export interface ArtifactOptions {
  name?: string;
  dataType?: string;
  existingId?: string;
  sizeHint?: number;
}

export interface Stored {
  logicalPath: string;
  name: string;
  dataType: string;
  id?: string;
  size: number;
}

export interface Artifact {
  write(data: Uint8Array | string): void;
  finish(): Stored;
}

export interface Task {
  readonly id: string;
  readonly jobId?: string;
  readonly domainId?: string;
  readonly capability: string;
  readonly capabilityFilters: unknown;
  readonly inputsCids: string[];
  readonly outputsPrefix?: string;
  readonly label?: string;
  readonly stage?: string;
  readonly attempts?: number;
  readonly maxAttempts?: number;
  readonly params: Record<string, any>;
  param(name: string, otherwise?: any): any;
  parts(): Generator<Part>;
  partsOf(cid: string): Generator<Part>;
  onlyPart(): Part;
  create(path: string, options?: ArtifactOptions): Artifact;
  write(path: string, data: Uint8Array | string, options?: ArtifactOptions): Stored;
  writeJson(path: string, value: unknown, options?: ArtifactOptions): Stored;
  progress(fraction: number, stage: string): void;
  checkCancelled(): void;
  sleep(seconds: number): void;
  event(event: unknown): boolean;
  log(message: unknown, level?: 'debug' | 'info' | 'warn' | 'error'): void;
  budget(): { memoryBytes: number; scratchBytes: number; outputBytesLeft: number; timeLeftMs: number };
}

export interface About {
  capabilities: string[];
  name: string;
  version: string;
  summary: string;
  memoryMib?: number;
  deadlineSecs?: number;
  cpuTimeSecs?: number;
  scratchMib?: number;
  outputMib?: number;
  artifacts?: number;
  networkHosts?: string[];
  environment?: string[];
  directories?: string[];
  metaSchema?: string;
  homepage?: string;
  license?: string;
}

export interface Runner {
  readonly description: object;
  readonly run: (task: Task) => void;
}

/** Makes a runner of a plain function of a task; not of an async one. */
export function runner(about: About, run: (task: Task) => void): Runner;
