import type { Dice } from './dice.ts';
import { hostileName, hostileValue, someName } from './hostile-values.ts';

/** As much of JSON Schema as ours use. */
export interface JsonSchema {
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  minimum?: number;
  maximum?: number;
  format?: string;
}

const WRONG = 0.04;

/** A value that fits the schema, but for what is wrong in it now and then: a type, a member too many or too few, an edge. */
export function jsonOf(schema: JsonSchema, dice: Dice): unknown {
  if (dice.chance(WRONG)) return hostileValue(dice);
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return dice.one(schema.enum);
  const either = schema.anyOf ?? schema.oneOf;
  if (either) return jsonOf(dice.one(either), dice);
  switch (Array.isArray(schema.type) ? dice.one(schema.type) : schema.type) {
    case 'object':
      return objectOf(schema, dice);
    case 'array':
      return Array.from({ length: dice.below(4) }, () => jsonOf(schema.items ?? {}, dice));
    case 'string':
      return schema.format === 'date-time' ? instant(dice) : someName(dice);
    case 'integer':
      return numberOf(schema, dice);
    case 'number':
      return numberOf(schema, dice) * dice.next();
    case 'boolean':
      return dice.chance(0.5);
    case 'null':
      return null;
    default:
      return hostileValue(dice);
  }
}

function objectOf({ additionalProperties, properties = {}, required = [] }: JsonSchema, dice: Dice): object {
  const members: [string, unknown][] = [];
  for (const [name, schema] of Object.entries(properties)) {
    const isNeeded = required.includes(name);
    if (dice.chance(isNeeded ? 1 - WRONG : 0.3)) members.push([name, jsonOf(schema, dice)]);
  }
  if (dice.chance(WRONG)) members.push([hostileName(dice), hostileValue(dice)]);
  if (typeof additionalProperties === 'object') {
    for (let i = dice.below(3); i > 0; i--) members.push([someName(dice), jsonOf(additionalProperties, dice)]);
  }
  return Object.fromEntries(members);
}

function numberOf({ maximum = 2 ** 53 - 1, minimum = 0 }: JsonSchema, dice: Dice): number {
  if (dice.chance(0.1)) return dice.one([minimum, maximum, minimum - 1, maximum + 1]);
  return minimum + dice.below(Math.min(maximum - minimum, 5_000));
}

const instant = (dice: Dice) =>
  dice.one(['2026-12-31T23:59:59Z', '2099-01-01T00:00:00.000+05:30', '0000-01-01T00:00:00Z']);
