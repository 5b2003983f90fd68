import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openWorkbench, type Workbench } from '../../sidecar/workbench/open.ts';
import { input } from './input.ts';
import { median } from './results.ts';
import type { Tools } from './tools.ts';

const FEW = 10;
const MANY = 100_000;
/** Of each, in turns; the first ones are for warming up. */
const BATCHES = 120;
const WARM = 20;
const AT_ONCE = 16;
/** A busy machine must not end an evaluation: how long one takes is what is measured. */
const VARIABLES = { POLICY_TIMEOUT_MS: '60000' };

/** How much longer a plan takes with 100,000 users' own budgets in the policy's data than with 10; no input comes twice. */
export async function overridesRatio(tools: Tools): Promise<number> {
  const few = await openWith(FEW, tools);
  const many = await openWith(MANY, tools);
  try {
    const times: { few: number; many: number }[] = [];
    for (let batch = 0; batch < BATCHES; batch++) {
      const time = { few: 0, many: 0 };
      for (const which of batch % 2 ? (['few', 'many'] as const) : (['many', 'few'] as const)) {
        time[which] = await plans({ few, many }[which], batch);
      }
      times.push(time);
    }
    const warm = times.slice(WARM);
    // The middle, not the sum: a thread that stood still for a moment is started anew, and reads all its data again.
    return median(warm.map((time) => time.many)) / median(warm.map((time) => time.few));
  } finally {
    await Promise.all([few.policy.close(), many.policy.close()]);
  }
}

async function openWith(overrides: number, { folder, root }: Tools): Promise<Workbench> {
  const configDir = await mkdtemp(join(folder, 'overrides-'));
  for (const from of ['config', 'bench/neighbours/config', 'bench/neighbours/config-budgets']) {
    await cp(join(root, from), configDir, { recursive: true });
  }
  const lines = Array.from(
    { length: overrides },
    (_, user) => `    user_${user}: { daily_tokens: ${1_000_000 + user} }`,
  );
  const file = join(configDir, 'budgets.yaml');
  await writeFile(file, `${await readFile(file, 'utf8')}  user_overrides:\n${lines.join('\n')}\n`);
  const name = join(root, 'policies', 'dist', 'bundle.tar.gz');
  return openWorkbench({ bytes: await readFile(name), name, configDir, variables: VARIABLES });
}

/** CPU time that so many plans take in both threads, of users who all have a budget of their own with both. */
async function plans({ pkg, policy }: Workbench, batch: number): Promise<number> {
  const texts = Array.from({ length: AT_ONCE }, (_, index) =>
    input(String(index % FEW), String(1_000 + batch * AT_ONCE + index)),
  );
  const start = process.cpuUsage();
  await Promise.all(texts.map((text) => policy.plan(pkg, text)));
  const { system, user } = process.cpuUsage(start);
  return user + system;
}
