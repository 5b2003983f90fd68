import { Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { QuickHistogram } from './quick-histogram.ts';

const options = { name: 'took_seconds', help: 'How long it took.', buckets: [0.01, 0.1, 1] };
/** On a bound is below it. */
const OBSERVED = [0.001, 0.01, 0.05, 0.1, 0.5, 1, 3, 100];

test('says what prom-client’s own histogram says', async () => {
  const [ours, theirs] = [new Registry(), new Registry()];
  const quick = new QuickHistogram({ ...options, registers: [ours] });
  const usual = new Histogram({ ...options, labelNames: ['phase'], registers: [theirs] });
  for (const phase of ['plan', 'take']) {
    const series = quick.series({ phase });
    for (const seconds of OBSERVED) {
      series.observe(seconds);
      usual.observe({ phase }, seconds);
    }
  }
  const lines = async (registry: Registry) =>
    (await registry.metrics())
      .split('\n')
      .map((line) => line.replace(/\{(.*)\}/, (_, labels) => `{${labels.split(',').toSorted()}}`));
  expect((await lines(ours)).toSorted()).toEqual((await lines(theirs)).toSorted());
  expect(await ours.metrics()).toContain('took_seconds_bucket{phase="plan",le="0.1"} 4\n');
});

test('nothing was observed: zeros', async () => {
  const registry = new Registry();
  new QuickHistogram({ ...options, registers: [registry] }).series({ phase: 'plan' });
  expect(await registry.metrics()).toContain('took_seconds_count{phase="plan"} 0\n');
});
