import type { DecisionEvent } from './event.ts';

/** The inputs that have a meaning to the sidecar: names and numbers. All others may be a prompt, or hold one. */
const NAMES = new Set([
  'tenant_id',
  'user_id',
  'team_id',
  'project_id',
  'department_id',
  'agent_id',
  'role',
  'channel',
  'sender_id',
  'model',
  'run_id',
  'request_id',
]);
const NUMBERS = new Set(['prompt_chars', 'input_tokens', 'max_output_tokens', 'estimated_tokens', 'granted_tokens']);

/** A name that is longer is none. */
const MAX_NAME_CHARACTERS = 256;

/** What is erased is named, unless its name could be a text itself. */
const PLAIN_KEY = /^[\w.-]{1,64}$/;
const MAX_NAMED = 32;
const OTHERS = '/input/*';

/**
 * The event without what could be, hold or quote a prompt: of the input only the known fields stay, of the result only a
 * boolean, a number or null, and no text of an error. What went is listed in `erased`.
 */
export function knownContent(event: DecisionEvent): DecisionEvent {
  const erased: string[] = [];
  const known = { ...event };
  if (event.input !== undefined) {
    const input = knownInput(event.input, erased);
    if (input === undefined) delete known.input;
    else known.input = input;
  }
  if (!holdsNoText(event.result)) {
    delete known.result;
    erased.push('/result');
  }
  if (event.error) {
    known.error = { code: event.error.code };
    erased.push('/error/message');
  }
  if (erased.length) known.erased = erased;
  return known;
}

const holdsNoText = (value: unknown) => value === null || ['undefined', 'boolean', 'number'].includes(typeof value);

function knownInput(input: unknown, erased: string[]): Record<string, unknown> | undefined {
  if (input === null || typeof input !== 'object' || Array.isArray(input)) {
    erased.push('/input');
    return undefined;
  }
  const kept: Record<string, unknown> = {};
  const named = new Set<string>();
  for (const [key, value] of Object.entries(input)) {
    if (NAMES.has(key) ? isName(value) : NUMBERS.has(key) && holdsNoText(value)) kept[key] = value;
    else named.add(PLAIN_KEY.test(key) && named.size < MAX_NAMED ? `/input/${key}` : OTHERS);
  }
  erased.push(...named);
  return kept;
}

const isName = (value: unknown) =>
  typeof value === 'string' ? value.length <= MAX_NAME_CHARACTERS : holdsNoText(value);
