import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadConfig } from '../../runtime/config/files.ts';
import { policyData } from '../../runtime/config/policy-data.ts';
import { packageRoot } from '../../runtime/package-root.ts';
import { modelsSchema } from '../../schemas/config/models.ts';
import { RateCard } from '../../schemas/config/rate-card.ts';
import { planSchema } from '../../schemas/policy-io.ts';
import { loadBundle } from '../policies/wasm.ts';

/** Ids, aliases and wildcards that hide each other. Each model weighs something else, from 2 on. */
const NAMES = [
  ['a', ['b', 'ab*']],
  ['b', ['aa', 'bb']],
  ['a*', ['b*']],
  ['aa*', ['aaa', 'bab*']],
  ['ba', ['ba*']],
  ['aa/*', ['ab/b', 'bb!*']],
] as const;
const entries = NAMES.map(([id, aliases], i) => [id, { weight: i + 2, aliases }] as const);
const models = modelsSchema.parse({ models: Object.fromEntries(entries) });

test('a policy weighs the model that the rate card prices', async () => {
  const config = policyData({ ...loadConfig(`${packageRoot}/config`), models });
  const policy = await loadBundle('policies/dist/bundle.tar.gz', { config });
  const card = new RateCard(models);
  const seen = new Set<string | undefined>();
  const name = fc.array(fc.constantFrom('a', 'b', '/', '!', '*', 'c'), { maxLength: 5 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(name, (model) => {
      const id = card.resolve(model);
      seen.add(id);
      const plan = planSchema.parse(policy.evaluate('openclaw/rate_limit/plan', { tenant_id: 'acme', model }));
      expect(plan.limits[0]?.cost, model).toBe(id === undefined ? 1 : models.models[id]?.weight);
    }),
    { numRuns: 2_000 },
  );
  expect(seen.size).toBe(NAMES.length + 1);
});
