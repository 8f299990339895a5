// Summarises a column of numbers in a CSV file.

import { InvalidInput, InvalidTask, runner, type Task } from '../posemesh-runner/index.js';

interface Summary {
  rows: number;
  min: number;
  max: number;
  mean: number;
}

export default runner(
  {
    capabilities: ['/example/my-runner/v1'],
    name: 'my-runner',
    version: '0.1.0',
    summary: 'Summarises a column of numbers in a CSV file.',
    memoryMib: 64,
  },
  summarise,
);

function summarise(task: Task): void {
  const name: unknown = task.param('column');
  if (typeof name !== 'string') throw new InvalidTask(`column is ${JSON.stringify(name)}, and not a text`);
  const file = task.onlyPart();
  const summary: Summary = { rows: 0, min: Infinity, max: -Infinity, mean: 0 };
  let column = -1;
  let number = 0;
  for (const line of file.lines()) {
    number += 1;
    const fields = line.split(',').map((field) => field.trim());
    if (number === 1) {
      column = fields.indexOf(name);
      if (column === -1) throw new InvalidInput(`line 1: there is no column ${name}, but ${line}`);
      continue;
    }
    const value = Number(fields[column] || NaN);
    if (Number.isNaN(value)) throw new InvalidInput(`line ${number}: ${fields[column]} in ${name} is no number`);
    summary.rows += 1;
    summary.min = Math.min(summary.min, value);
    summary.max = Math.max(summary.max, value);
    summary.mean += (value - summary.mean) / summary.rows;
    // Throws when the task is cancelled.
    if (number % 1000 === 0) task.progress(file.done, 'reading');
  }
  if (summary.rows === 0) throw new InvalidInput('there is no line after the header');
  task.writeJson('summary.json', summary);
}
