import { z } from 'zod';
import { decimalSchema } from '../amounts.ts';
import { outOfOrder, startSchema } from './start.ts';

/** USD per 1,000,000 tokens. What is not given: see `Price` in rate-card.ts. */
const pricesOfTypes = {
  cache_read: decimalSchema.optional(),
  cache_write: decimalSchema.optional(),
  reasoning: decimalSchema.optional(),
};

const datedPriceSchema = z.strictObject({
  /** A date is that of UTC. The price holds from here to the next one's. */
  effective_from: startSchema,
  input: decimalSchema,
  output: decimalSchema,
  ...pricesOfTypes,
});

const modelSchema = z.strictObject({
  /** How many bucket tokens one request to this model costs. */
  weight: z.int().min(1).max(1_000_000).default(1),
  /** They hold until the first of `prices`, or for ever. */
  input: decimalSchema.optional(),
  output: decimalSchema.optional(),
  ...pricesOfTypes,
  prices: z.array(datedPriceSchema).optional(),
  aliases: z.array(z.string().min(1)).default([]),
});

/**
 * `config/models.yaml`: the rate card, and what a request to each model costs in bucket tokens. A name or alias that ends
 * in `*` stands for all that begin so; a name stands for one model.
 */
export const modelsSchema = z
  .strictObject({
    models: z.record(z.string().min(1), modelSchema).default({}),
  })
  .superRefine(({ models }, context) => {
    const report = ({ message, path }: Problem) => context.addIssue({ code: 'custom', path, message });
    [...halfPrices(models), ...unorderedPrices(models), ...badWildcards(models), ...claimedTwice(models)].forEach(
      report,
    );
  });

export type ModelsConfig = z.infer<typeof modelsSchema>;
export type Model = ModelsConfig['models'][string];

type Models = ModelsConfig['models'];

interface Problem {
  path: (string | number)[];
  message: string;
}

/** Whether it stands for all names that begin so. */
export const isWildcard = (name: string): boolean => name.endsWith('*');

/** A price that was forgotten must not bill tokens at nothing. */
function halfPrices(models: Models): Problem[] {
  return Object.entries(models).flatMap(([id, { input, output }]) => {
    if ((input === undefined) === (output === undefined)) return [];
    const missing = input === undefined ? 'input' : 'output';
    return [{ path: ['models', id], message: `${missing} is missing; write ${missing}: "0" if it costs nothing` }];
  });
}

function unorderedPrices(models: Models): Problem[] {
  return Object.entries(models).flatMap(([id, { prices = [] }]) =>
    outOfOrder(prices.map(({ effective_from }) => effective_from)).map((i) => ({
      path: ['models', id, 'prices', i, 'effective_from'],
      message: `must be after ${prices[i - 1]?.effective_from}, as prices are in the order of time`,
    })),
  );
}

/** Of other patterns, such as `lab/*-mini`, nobody would be told that they match nothing. */
function badWildcards(models: Models): Problem[] {
  return namesIn(models)
    .filter(({ name }) => name.slice(0, -1).includes('*'))
    .map(({ path }) => ({ path, message: 'may have one * only, at its end' }));
}

function claimedTwice(models: Models): Problem[] {
  const claims = new Map<string, string>();
  return namesIn(models).flatMap(({ id, isAlias, name, path }) => {
    // An id that is another one's alias stands for itself; of two wildcards neither would go before the other.
    if (!isAlias && !isWildcard(name)) return [];
    const first = claims.get(name) ?? id;
    claims.set(name, first);
    if (first === id) return [];
    return [{ path, message: `${JSON.stringify(name)} stands for ${first} already, and a name stands for one model` }];
  });
}

/** Ids first: of an id and an alias that are the same the alias is what is wrong. */
const namesIn = (models: Models) => [
  ...Object.keys(models).map((id) => ({ id, name: id, isAlias: false, path: ['models', id] })),
  ...Object.entries(models).flatMap(([id, { aliases }]) =>
    aliases.map((name, i) => ({ id, name, isAlias: true, path: ['models', id, 'aliases', i] })),
  ),
];
