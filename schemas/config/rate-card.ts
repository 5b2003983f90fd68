import { isWildcard, type Model, type ModelsConfig } from './models.ts';

/** USD per 1,000,000 tokens, as decimal strings. Without a price for reasoning it is part of the output. */
export interface Price {
  input: string;
  output: string;
  cache_read: string;
  cache_write: string;
  reasoning?: string;
}

/** From when to when a price holds, in epoch milliseconds; `to` belongs to the next one. Undefined: there is none. */
export interface PriceSpan {
  from: number;
  to: number;
  price: Price | undefined;
}

const BEGINNING = Number.MIN_SAFE_INTEGER;
const END = Number.MAX_SAFE_INTEGER;
const NEVER_PRICED: PriceSpan[] = [{ from: BEGINNING, to: END, price: undefined }];

/**
 * Which model a name stands for, and what it costs when: an id before an alias, an alias before a wildcard, of wildcards
 * the longest. A model without a price has none, never one of zero.
 */
export class RateCard {
  readonly #ids = new Map<string, string>();
  readonly #wildcards: { prefix: string; id: string }[] = [];
  readonly #spans = new Map<string, PriceSpan[]>();

  constructor({ models }: ModelsConfig) {
    for (const [id, model] of Object.entries(models)) {
      this.#spans.set(id, spansOf(model));
      for (const name of [id, ...model.aliases]) {
        if (isWildcard(name)) this.#wildcards.push({ prefix: name.slice(0, -1), id });
        else if (name === id || !Object.hasOwn(models, name)) this.#ids.set(name, id);
      }
    }
    this.#wildcards.sort((a, b) => b.prefix.length - a.prefix.length);
  }

  /** The id of the model, which of a wildcard is the wildcard itself. Undefined: not on the card. */
  resolve(model: string): string | undefined {
    return this.#ids.get(model) ?? this.#wildcards.find(({ prefix }) => model.startsWith(prefix))?.id;
  }

  /** They tile all time, in its order. */
  spans(model: string): PriceSpan[] {
    const id = this.resolve(model);
    return (id === undefined ? undefined : this.#spans.get(id)) ?? NEVER_PRICED;
  }

  /** The price at an instant, in epoch milliseconds, and from when on it holds. Undefined: there is none. */
  at(model: string, instant: number): { id: string; from: number; price: Price } | undefined {
    const id = this.resolve(model);
    const span = this.spans(model).find(({ from, to }) => from <= instant && instant < to);
    return id === undefined || span?.price === undefined ? undefined : { id, from: span.from, price: span.price };
  }
}

const cards = new WeakMap<ModelsConfig, RateCard>();

/** The card of a configuration, made once for each. */
export function rateCardOf(models: ModelsConfig): RateCard {
  const card = cards.get(models) ?? new RateCard(models);
  cards.set(models, card);
  return card;
}

function spansOf(model: Model): PriceSpan[] {
  const starts = [
    { from: BEGINNING, price: priceOf(model) },
    ...(model.prices ?? []).map((dated) => ({ from: Date.parse(dated.effective_from), price: priceOf(dated) })),
  ];
  return starts.map(({ from, price }, i) => ({ from, to: starts[i + 1]?.from ?? END, price }));
}

type Given = Pick<Model, 'input' | 'output' | 'cache_read' | 'cache_write' | 'reasoning'>;

function priceOf({ cache_read, cache_write, input, output, reasoning }: Given): Price | undefined {
  if (input === undefined || output === undefined) return undefined;
  return {
    input,
    output,
    cache_read: cache_read ?? input,
    cache_write: cache_write ?? input,
    ...(reasoning !== undefined && { reasoning }),
  };
}
