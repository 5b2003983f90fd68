/** What a call to a provider can fail of, as `POST /v1/usage` reports it and as a fallback chain names it. */
export const FAILURES = ['rate_limit', 'timeout', 'unavailable', 'authentication', 'invalid_request', 'other'] as const;

export type Failure = (typeof FAILURES)[number];
