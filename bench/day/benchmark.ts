import { type DayOptions, hourOf, turnsOf } from './day.ts';
import { type RunOptions, runDay, USUAL } from './run-day.ts';
import type { World } from './world.ts';

export interface Options {
  seed: number;
  /** Percent of each account. */
  keptBack: number;
  /** What causes 429s, and how much kept back prevents them, instead of the day. */
  causes?: boolean;
}

const OTHERS_PERCENT = 30;
/** So many days are added up to tell causes from chance. */
const DAYS = 3;

/** Prints what a day comes to for OpenClaw alone, with the sidecar, and with it while somebody else uses the account too. */
export async function benchmark({ causes, keptBack, seed }: Options): Promise<void> {
  if (causes) await showCauses(seed);
  else await showDay(seed, keptBack);
}

type Column = [title: string, of: (world: World) => number | string];

const columns = (busy: number): Column[] => [
  ['calls', ({ tally }) => tally.wanted],
  ['429s of our own', ({ tally }) => tally.own],
  ['429s because of others', ({ tally }) => tally.others],
  [`Anthropic’s tokens used, ${busy} to ${busy + 1} h`, (world) => usedOfAnthropic(world, busy)],
  ['served by the stand-in', ({ tally }) => tally.rerouted],
  ['denials', ({ tally }) => tally.denied],
  ['given up', ({ tally }) => tally.gaveUp],
  ['wait: mean', ({ tally }) => seconds(tally.meanWait)],
  ['95 %', ({ tally }) => seconds(tally.wait(0.95))],
  ['99 %', ({ tally }) => seconds(tally.wait(0.99))],
];

async function showDay(seed: number, keptBackPercent: number): Promise<void> {
  const day = { ...USUAL, seed, from: 0, to: 24 };
  const sidecar = { keptBackPercent, passesHeaders: false };
  const told = { ...sidecar, passesHeaders: true };
  const runs: [string, RunOptions][] = [
    ['OpenClaw alone', day],
    ['with the sidecar', { ...day, sidecar }],
    ['with the sidecar, told the headers', { ...day, sidecar: told }],
    [`the same, others use ${OTHERS_PERCENT} % of Anthropic`, { ...day, sidecar: told, othersPercent: OTHERS_PERCENT }],
  ];
  const shown = columns(busiestHour(day));
  print(['', ...shown.map(([title]) => title)]);
  print(['---', ...shown.map(() => '--:')]);
  for (const [name, options] of runs) {
    const world = await runDay(options);
    print([name, ...shown.map(([, of]) => of(world))]);
  }
}

interface Condition extends Partial<RunOptions> {
  name: string;
  keptBackPercent: number;
  passesHeaders: boolean;
}

const STEADY = { latencyMs: [200, 200] } as const;
const EXACT = { errorPercent: 0 };
const NOTHING = { keptBackPercent: 0, passesHeaders: false };

const CONDITIONS: Condition[] = [
  { name: 'neither', ...STEADY, ...EXACT, ...NOTHING },
  { name: 'calls arrive after 20 to 400 ms', ...EXACT, ...NOTHING },
  { name: 'prompts are up to 30 % longer or shorter', ...STEADY, ...NOTHING },
  ...[0, 1, 2, 5, 10].flatMap((keptBackPercent) =>
    [false, true].map((passesHeaders) => ({ name: 'both', keptBackPercent, passesHeaders })),
  ),
];

/** Two busy hours of some days under each condition. */
async function showCauses(seed: number): Promise<void> {
  print(['what is not exact', 'kept back', 'headers', 'calls', '429s of Anthropic', 'OpenAI', 'Google']);
  print(['---', '--:', '---', '--:', '--:', '--:', '--:']);
  for (const { keptBackPercent, name, passesHeaders, ...more } of CONDITIONS) {
    const worlds: World[] = [];
    for (let day = 0; day < DAYS; day++) {
      const hours = { ...USUAL, ...more, seed: seed + day, from: 8, to: 10 };
      worlds.push(await runDay({ ...hours, sidecar: { keptBackPercent, passesHeaders } }));
    }
    const sum = (of: (world: World) => number) => worlds.reduce((all, world) => all + of(world), 0);
    const refused = (provider: string) => sum(({ tally }) => tally.refusals.get(provider)?.own ?? 0);
    const counts = ['anthropic', 'openai', 'google'].map(refused);
    print([name, `${keptBackPercent} %`, passesHeaders ? 'told' : '–', sum(({ tally }) => tally.wanted), ...counts]);
  }
}

const print = (cells: (number | string)[]) => console.log(`| ${cells.join(' | ')} |`);

const seconds = (of: number) => `${of.toFixed(1)} s`;

function usedOfAnthropic({ providers }: World, of: number): string {
  const { accepted, rules } = providers.anthropic ?? {};
  const share = (used = 0) => Math.round((100 * used) / ((rules?.tokensPerMinute ?? 0) * 60));
  const others = share(accepted?.others[of]);
  return `${share(accepted?.ours[of])} %${others ? `, others ${others} %` : ''}`;
}

/** In which the users want the most tokens. */
function busiestHour(day: DayOptions): number {
  const wanted = new Array<number>(24).fill(0);
  for (const { at, calls } of turnsOf(day)) {
    wanted[hourOf(at)] = (wanted[hourOf(at)] ?? 0) + calls.reduce((sum, { input }) => sum + input, 0);
  }
  return wanted.indexOf(Math.max(...wanted));
}
