// What the component exports. Tests load `app.js` instead, since this needs the node.

import { component } from '../../sdk/js/posemesh-runner/component.js';
import app from './app.js';

export const entry = component(app);
