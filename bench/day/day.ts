import { Dice } from './dice.ts';

const SONNET = 'anthropic/claude-sonnet-4-5';
const HAIKU = 'anthropic/claude-haiku-4-5';
const GEMINI = 'google/gemini-flash';
/** What stands in. */
export const FALLBACK: Readonly<Record<string, string>> = {
  [SONNET]: 'openai/gpt-5',
  [HAIKU]: GEMINI,
  [GEMINI]: HAIKU,
};
const USERS = 50;
/** Of the answer, in every call. */
export const MAX_OUTPUT = 4_096;

/** A working day in Berlin. The day of Los Angeles, which Google counts, begins at 09:00. */
const MIDNIGHT = Date.parse('2026-01-15T00:00:00+01:00');
const HOUR = 3_600_000;
export const hour = (of: number): number => MIDNIGHT + of * HOUR;
export const hourOf = (at: number): number => Math.floor((at - MIDNIGHT) / HOUR);

/** How much goes on in each hour, against an hour of usual work. */
const HOURS = [0, 0, 0, 0, 0, 0, 0.1, 0.4, 1, 1.6, 1.5, 1, 0.5, 0.8, 1.1, 1, 0.8, 0.5, 0.3, 0.2, 0.2, 0.1, 0.1, 0];

interface Kind {
  share: number;
  /** In an hour of usual work. */
  turns: number;
  steps: [least: number, most: number];
  prompt: { median: number; spread: number };
  /** How often it is the small model that is asked. */
  small: number;
}

const KINDS: Kind[] = [
  { share: 0.2, turns: 4.5, steps: [3, 10], prompt: { median: 55_000, spread: 0.5 }, small: 0.1 },
  { share: 0.6, turns: 2.5, steps: [1, 8], prompt: { median: 24_000, spread: 0.7 }, small: 0.5 },
  { share: 0.2, turns: 0.6, steps: [1, 3], prompt: { median: 10_000, spread: 0.8 }, small: 0.6 },
];

/** A call to a model: what is known of it before, and what it really takes. */
export interface Call {
  id: string;
  user: string;
  model: string;
  /** Tokens of the prompt, as they are estimated; really up to 30 % more or less. */
  estimated: number;
  input: number;
  output: number;
  /** Milliseconds until the answer is there. */
  takes: number;
}

/** What a user asks an agent for: calls one after the other. */
export interface Turn {
  at: number;
  calls: Call[];
}

export interface DayOptions {
  seed: number;
  /** Hours of the day, the last not included. */
  from: number;
  to: number;
  /** By so much what a call takes is more or less than was estimated. */
  errorPercent: number;
}

/** What the users want, in the order of time: the same for the same seed. */
export function turnsOf({ errorPercent, from, seed, to }: DayOptions): Turn[] {
  const turns: Turn[] = [];
  for (let user = 0; user < USERS; user++) {
    const kind = kindOf((user + 0.5) / USERS);
    for (let of = from; of < to; of++)
      turns.push(...turnsInHour({ dice: new Dice(seed, user, of), errorPercent, of, user }, kind));
  }
  return turns.sort((a, b) => a.at - b.at);
}

function kindOf(place: number): Kind {
  let upTo = 0;
  for (const kind of KINDS) {
    upTo += kind.share;
    if (place < upTo) return kind;
  }
  throw new Error('the shares are less than one');
}

interface Of {
  dice: Dice;
  errorPercent: number;
  of: number;
  user: number;
}

function turnsInHour({ dice, errorPercent, of, user }: Of, kind: Kind): Turn[] {
  const mean = HOUR / (kind.turns * (HOURS[of] ?? 0));
  const turns: Turn[] = [];
  for (let at = dice.gap(mean); at < HOUR; at += dice.gap(mean)) {
    const id = `u${user}-${of}-${turns.length}`;
    const model = dice.next() >= kind.small ? SONNET : user % 4 === 0 ? HAIKU : GEMINI;
    const calls = Array.from({ length: dice.whole(...kind.steps) }, (_, step) => {
      const about = { id: `${id}-${step}`, user: `u${user}`, model };
      return { ...about, ...sizesOf(model, kind, errorPercent / 100, dice) };
    });
    turns.push({ at: hour(of) + Math.floor(at), calls });
  }
  return turns;
}

function sizesOf(model: string, { prompt }: Kind, error: number, dice: Dice) {
  const { median, most } =
    model === SONNET ? { median: prompt.median, most: 120_000 } : { median: 2_500, most: 12_000 };
  const estimated = Math.ceil(Math.min(most, Math.max(300, dice.lognormal(median, prompt.spread))));
  const output = Math.ceil(Math.min(MAX_OUTPUT, dice.lognormal(600, 0.9)));
  return {
    estimated,
    input: Math.round(estimated * dice.between(1 - error, 1 + error)),
    output,
    takes: Math.round(Math.min(20_000, 1_000 + output * dice.between(3, 6))),
  };
}
