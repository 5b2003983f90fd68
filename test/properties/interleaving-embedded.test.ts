import { test } from 'vitest';
import { openEmbedded } from '../conformance/stores/embedded.ts';
import { OVER_BEFORE_ITS_ELDER } from './found-programs.ts';
import { describeInterleaving, runProgram } from './interleaving.suite.ts';

describeInterleaving('the embedded store', async () => () => openEmbedded());

test('what a clock that was set back lets expire first is not held up by what was taken before', async () => {
  await runProgram(() => openEmbedded(), 'oldest first', OVER_BEFORE_ITS_ELDER);
});
