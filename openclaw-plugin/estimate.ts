/** What a request is taken to need, in LLM tokens. */
export interface Estimate {
  prompt_chars: number;
  input_tokens: number;
  max_output_tokens: number;
  estimated_tokens: number;
}

/** English text has about four characters to a token. */
const CHARS_PER_TOKEN = 4;
/** An image is no text; providers count between some 100 and 1,600 tokens for one. */
const IMAGE_CHARS = 1_600 * CHARS_PER_TOKEN;
/** Of the first request of all: the tools that its event does not show made it 26 % larger than what it shows. */
const FIRST_FACTOR = 1.35;
/** Below: a tokeniser of few tokens. Above: a run of many model calls, each of which is paid with all that went before. */
const FACTORS = { least: 0.5, most: 8 };
const FIRST_OUTPUT = 500;
const MOST_OUTPUT = 8_192;
/** An OpenClaw without a word of conversation sends about this much. */
const FIRST_CONTEXT_CHARS = 28_000;
/** How much the newest run counts for. */
const WEIGHT = 0.3;
const MOST_MODELS = 64;
const MOST_SESSIONS = 1_000;

interface Learnt {
  factor: number;
  output: number;
}

/** Guesses what a run will use, and learns from what runs have used: for each model, by how much the guess was off. */
export class Estimator {
  readonly #models = new Map<string, Learnt>();
  readonly #contexts = new Map<string, number>();

  /** Of all that a run will send, as far as it is known. */
  whole(model: string, chars: number, promptChars: number): Estimate {
    const { factor, output } = this.#models.get(model) ?? { factor: FIRST_FACTOR, output: FIRST_OUTPUT };
    const input = Math.ceil((chars / CHARS_PER_TOKEN) * factor);
    const answer = Math.ceil(output);
    return {
      prompt_chars: promptChars,
      input_tokens: input,
      max_output_tokens: answer,
      estimated_tokens: input + answer,
    };
  }

  /** Where only the new prompt is known: with what the session had before it. */
  fromPrompt(model: string, session: string, promptChars: number): Estimate {
    return this.whole(model, (this.#contexts.get(session) ?? FIRST_CONTEXT_CHARS) + promptChars, promptChars);
  }

  noteContext(session: string, chars: number): void {
    keep(this.#contexts, session, chars, MOST_SESSIONS);
  }

  /** @param input all tokens that were sent, those from a cache too */
  learn(model: string, used: { chars: number; input: number; output: number }): void {
    if (used.chars === 0 || used.input === 0) return;
    const before = this.#models.get(model);
    const factor = between(FACTORS.least, (used.input * CHARS_PER_TOKEN) / used.chars, FACTORS.most);
    const output = between(1, used.output, MOST_OUTPUT);
    const learnt = before
      ? { factor: mixed(before.factor, factor), output: mixed(before.output, output) }
      : { factor, output };
    keep(this.#models, model, learnt, MOST_MODELS);
  }
}

const between = (least: number, value: number, most: number) => Math.min(Math.max(value, least), most);
const mixed = (before: number, now: number) => before + (now - before) * WEIGHT;

/** The one that was kept longest ago makes room. */
function keep<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
}

/** Characters that a model reads of a message of OpenClaw's: texts, and what tools were called with and gave. */
export function charsOf(content: unknown): number {
  if (typeof content === 'string') return content.length;
  if (Array.isArray(content)) return content.reduce<number>((sum, part) => sum + charsOf(part), 0);
  if (typeof content !== 'object' || content === null) return 0;
  const { type } = content as { type?: unknown };
  if (type === 'image') return IMAGE_CHARS;
  return Object.entries(content).reduce((sum, [key, value]) => sum + (READ.has(key) ? charsOfValue(value) : 0), 0);
}

const READ = new Set(['content', 'text', 'thinking', 'name', 'arguments']);

const charsOfValue = (value: unknown) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? JSON.stringify(value).length : charsOf(value);
