import type { Price } from './rate-card.ts';

/** LLM tokens, as a provider counts them: reasoning is contained in the output, the cache is not in the input. */
export interface TokenCounts {
  input: bigint;
  output: bigint;
  cache_read: bigint;
  cache_write: bigint;
  reasoning: bigint;
}

/** Tokens of one type, and their price in USD per 1,000,000. */
export interface TokenCharge {
  type: keyof TokenCounts;
  tokens: bigint;
  price: string;
}

/** What a price makes of tokens: each is charged once. Reasoning with a price of its own is taken out of the output. */
export function tokenCharges(usage: TokenCounts, price: Price): TokenCharge[] {
  const ownReasoning = price.reasoning === undefined ? 0n : usage.reasoning;
  return [
    { type: 'input', tokens: usage.input, price: price.input },
    { type: 'output', tokens: usage.output - ownReasoning, price: price.output },
    { type: 'cache_read', tokens: usage.cache_read, price: price.cache_read },
    { type: 'cache_write', tokens: usage.cache_write, price: price.cache_write },
    ...(price.reasoning === undefined
      ? []
      : [{ type: 'reasoning' as const, tokens: usage.reasoning, price: price.reasoning }]),
  ];
}
