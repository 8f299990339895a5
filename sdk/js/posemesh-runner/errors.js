// The errors of a task: the class, or `tag`, says whose fault it was, the text becomes the reason in the job server's record.

/** An error that a task can end with. `tag` is its case in the contract: it says whose fault the failure was. */
export class RunnerError extends Error {
  constructor(tag, text) {
    super(text);
    this.name = this.constructor.name;
    this.tag = tag;
  }
}

/** The task as submitted can't be done: a parameter is missing or out of range, too few inputs. */
export class InvalidTask extends RunnerError {
  constructor(text) {
    super('invalid-task', text);
  }
}

/** An input is broken or of a kind that the runner does not read. Say where: a line, a byte. */
export class InvalidInput extends RunnerError {
  constructor(text) {
    super('invalid-input', text);
  }
}

/** The runner failed. Any other error that leaves a runner counts as this one, with its file and line. */
export class Failed extends RunnerError {
  constructor(text) {
    super('failed', text);
  }
}

/** The task is being stopped: let it pass. */
export class Cancelled extends RunnerError {
  constructor() {
    super('cancelled', 'the task was cancelled');
  }
}

/** The node could not do what was asked: `tag` is `not-found`, `denied`, `limit`, `corrupt`, `unavailable`... A runner that
 * does not handle it fails with it, whole. */
export class PortError extends RunnerError {}
