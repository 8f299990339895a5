// What the component exports. Tests load `app.ts` instead, since this needs the node.

import { component } from '../posemesh-runner/component.js';
import app from './app.js';

export const entry = component(app);
