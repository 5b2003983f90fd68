import type { Dice } from './dice.ts';
import type { Asked, Grant, Journal, Report } from './journal.ts';
import type { Program } from './program.ts';
import type { SidecarCalls } from './sidecar-calls.ts';

/** What a run is done on: a few tenants and users, so that they meet. */
export interface Stage {
  calls: SidecarCalls;
  journal: Journal;
  /** Those that the service speaks for, and the one that has a key. */
  tenants: readonly string[];
  keyed: string;
}

type Operation = (stage: Stage, dice: Dice) => Promise<void>;

const USERS = ['ada', 'bert', 'cleo'];

function request({ journal, tenants }: Stage, dice: Dice, hasId: boolean): Asked {
  const tenant = dice.pick(tenants);
  const requestId = hasId ? `request-${journal.asked.length}` : undefined;
  const input = {
    tenant_id: tenant,
    user_id: dice.pick(USERS),
    weight: dice.between(1, 5),
    ...(dice.chance(0.5) && { estimated_tokens: dice.between(1, 20) }),
    ...(requestId !== undefined && { request_id: requestId }),
  };
  const asked: Asked = { tenant, input, requestId, key: undefined, verdicts: [], final: undefined, voidTried: false };
  journal.asked.push(asked);
  return asked;
}

const decide =
  (hasId: boolean): Operation =>
  async (stage, dice) => {
    await stage.calls.ask(await stage.calls.sidecar(dice), request(stage, dice, hasId));
  };

/** Of a request that may be under way, granted or unknown: at once and by another sidecar, maybe. */
const repeat: Operation = async (stage, dice) => {
  const known = stage.journal.asked.filter(({ requestId }) => requestId !== undefined).slice(-20);
  if (known.length === 0) return;
  const asked = dice.pick(known);
  const times = Array.from({ length: dice.between(1, 3) }, () => stage.calls.sidecar(dice));
  await Promise.all(times.map(async (sidecar) => stage.calls.ask(await sidecar, asked)));
};

/** Under the id of what was surely granted, and not given back, another body. */
const reuse: Operation = async (stage, dice) => {
  const { calls, journal } = stage;
  const granted = [...journal.grants.values()].filter(
    ({ asked, estimate }) => asked.requestId && estimate === undefined,
  );
  if (granted.length === 0) return;
  const { asked } = dice.pick(granted);
  const other = { ...asked, input: { ...asked.input, weight: 6 }, verdicts: [] };
  const verdict = await calls.ask(await calls.sidecar(dice), other);
  if (verdict.kind === 'granted') journal.violated('I9', `${asked.requestId} is granted with another body`);
  if (verdict.kind === 'refused') journal.violated('I9', `${asked.requestId} is tried anew with another body`);
};

const batch: Operation = async (stage, dice) => {
  const some = Array.from({ length: dice.between(2, 6) }, () => request(stage, dice, dice.chance(0.4)));
  const [first] = some;
  const own = some.map((asked) => asTenant(asked, first?.tenant ?? ''));
  await stage.calls.askTogether(await stage.calls.sidecar(dice), own);
};

/** A batch is one tenant's here, so that its answer must not name another one. */
function asTenant(asked: Asked, tenant: string): Asked {
  asked.tenant = tenant;
  asked.input = { ...asked.input, tenant_id: tenant };
  return asked;
}

const dryRun: Operation = async ({ calls, tenants }, dice) => {
  const tenant = dice.pick(tenants);
  await calls.dryRun(await calls.sidecar(dice), tenant, {
    tenant_id: tenant,
    user_id: 'ada',
    weight: 1,
    estimated_tokens: 5,
  });
};

const settled = ({ decisionId, tenant }: Grant, tokens: number): Report => ({
  tenant,
  body: { decision_id: decisionId, tenant_id: tenant, outcome: 'succeeded', usage: { input: tokens } },
  outcomes: [],
});

const voided = ({ decisionId, tenant }: Grant): Report => ({
  tenant,
  body: { decision_id: decisionId, tenant_id: tenant, outcome: 'failed' },
  outcomes: [],
});

/** Less, more or nothing of what was estimated. */
const used = ({ estimate = 0 }: Grant, dice: Dice) => dice.pick([0, 1, estimate, estimate * 2, estimate + 7]);

const ofReserved =
  (work: (stage: Stage, dice: Dice, grant: Grant) => Promise<void>): Operation =>
  async (stage, dice) => {
    const some = stage.journal.reserved.slice(-25);
    if (some.length > 0) await work(stage, dice, dice.pick(some));
  };

const settle = ofReserved(async ({ calls }, dice, grant) => {
  await calls.report(await calls.sidecar(dice), grant, settled(grant, used(grant, dice)));
});

const settleAgain = ofReserved(async ({ calls }, dice, grant) => {
  const before = grant.reports.at(-1) ?? settled(grant, used(grant, dice));
  await calls.report(await calls.sidecar(dice), grant, before);
});

/** One of them wins; the others say the same, or are told so. */
const settleTogether = ofReserved(async ({ calls }, dice, grant) => {
  const reports = [settled(grant, 3), settled(grant, 3), dice.chance(0.5) ? settled(grant, 4) : voided(grant)];
  await Promise.all(reports.map(async (report) => calls.report(await calls.sidecar(dice), grant, report)));
});

const giveBack = ofReserved(async ({ calls }, dice, grant) => {
  await calls.report(await calls.sidecar(dice), grant, voided(grant));
});

const settleForeign = ofReserved(async ({ calls, tenants }, dice, grant) => {
  const others = tenants.filter((tenant) => tenant !== grant.tenant);
  await calls.foreignReport(await calls.sidecar(dice), grant, dice.pick(others));
});

const read = ofReserved(async ({ calls }, dice, grant) => calls.record(await calls.sidecar(dice), grant));

export async function askWithKey({ calls, journal, keyed }: Stage, dice: Dice, sidecar?: Program): Promise<void> {
  const { key } = journal.key ?? {};
  if (key === undefined) return;
  const asked: Asked = {
    tenant: keyed,
    input: { user_id: 'ada', weight: 1 },
    requestId: undefined,
    key,
    verdicts: [],
    final: undefined,
    voidTried: false,
  };
  journal.asked.push(asked);
  await calls.ask(sidecar ?? (await calls.sidecar(dice)), asked);
}

/** How often each is done, of 100 or so. */
const OPERATIONS: readonly (readonly [weight: number, operation: Operation])[] = [
  [22, decide(false)],
  [20, decide(true)],
  [12, repeat],
  [4, reuse],
  [6, batch],
  [4, dryRun],
  [10, settle],
  [5, settleAgain],
  [4, settleTogether],
  [6, giveBack],
  [2, settleForeign],
  [2, read],
  [5, (stage, dice) => askWithKey(stage, dice)],
];

export const operate = (stage: Stage, dice: Dice): Promise<void> => dice.weighted(OPERATIONS)(stage, dice);
