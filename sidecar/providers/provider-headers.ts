/** What a provider says of one of its limits. */
export interface ProviderNumbers {
  of: 'requests' | 'tokens' | 'input_tokens' | 'output_tokens';
  limit: number | undefined;
  remaining: number;
  /** In how many milliseconds it is whole again. */
  resetMs: number | undefined;
}

/**
 * `anthropic-ratelimit-<of>-{limit,remaining,reset}`: https://docs.claude.com/en/api/rate-limits#response-headers
 * `x-ratelimit-{limit,remaining,reset}-<of>`: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
 */
const NAMES: { of: ProviderNumbers['of']; name: (part: string) => string }[] = [
  { of: 'requests', name: (part) => `anthropic-ratelimit-requests-${part}` },
  { of: 'tokens', name: (part) => `anthropic-ratelimit-tokens-${part}` },
  { of: 'input_tokens', name: (part) => `anthropic-ratelimit-input-tokens-${part}` },
  { of: 'output_tokens', name: (part) => `anthropic-ratelimit-output-tokens-${part}` },
  { of: 'requests', name: (part) => `x-ratelimit-${part}-requests` },
  { of: 'tokens', name: (part) => `x-ratelimit-${part}-tokens` },
];

type Headers = Readonly<Record<string, string>>;

/** The limits that the headers tell of. What cannot be read is left out: a provider's mistake is no reason to refuse a report. */
export function providerNumbers(headers: Headers, now: number): ProviderNumbers[] {
  const lowered = lowerCased(headers);
  return NAMES.flatMap(({ name, of }) => {
    const remaining = amount(lowered.get(name('remaining')));
    if (remaining === undefined) return [];
    return [
      { of, remaining, limit: amount(lowered.get(name('limit'))), resetMs: wait(lowered.get(name('reset')), now) },
    ];
  });
}

/** `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), or OpenAI's `retry-after-ms`: in milliseconds. */
export function retryAfterOf(headers: Headers, now: number): number | undefined {
  const lowered = lowerCased(headers);
  return (
    amount(lowered.get('retry-after-ms')) ??
    seconds(lowered.get('retry-after')) ??
    untilDate(lowered.get('retry-after'), now)
  );
}

const lowerCased = (headers: Headers) =>
  new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.trim()]));

const amount = (text: string | undefined) => (text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined);

const seconds = (text: string | undefined) =>
  text !== undefined && /^\d{1,9}(\.\d{1,6})?$/.test(text) ? Number(text) * 1000 : undefined;

function untilDate(text: string | undefined, now: number): number | undefined {
  const at = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/y;
const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Seconds, Go's durations as OpenAI prints them (`6m0s`, `20ms`), or an instant. */
const wait = (text: string | undefined, now: number) => seconds(text) ?? duration(text) ?? untilDate(text, now);

function duration(text: string | undefined): number | undefined {
  if (!text) return undefined;
  PART.lastIndex = 0;
  let sum = 0;
  while (PART.lastIndex < text.length) {
    const [, digits, unit = ''] = PART.exec(text) ?? [];
    if (digits === undefined) return undefined;
    sum += Number(digits) * (UNITS[unit] ?? 0);
  }
  return sum;
}
