import { describeCounterStore } from './counter-store.suite.ts';
import { openEmbedded } from './stores/embedded.ts';

describeCounterStore('the embedded store', openEmbedded, { settableClock: true, scripts: false });
