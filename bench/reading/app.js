// Reads its input.

import { runner } from './posemesh-runner/index.js';

export default runner(
  { capabilities: ['/example/reading/v1'], name: 'reading', version: '0.1.0', summary: 'Reads its input.', memoryMib: 64 },
  (task) => {
    let bytes = 0;
    for (const chunk of task.onlyPart().chunks()) bytes += chunk.length;
    task.writeJson('bytes.json', { bytes });
  },
);
