/** A grant that was given while the store was away and is not charged yet: what answers who asks about it. */
export interface OwedGrant {
  decisionId: string;
  tenantId: string;
  requestId: string | undefined;
  fingerprint: string;
  policyRevision: string | undefined;
  /** Resolves when it is written down; until then nobody is told of it. */
  written: Promise<void>;
}

/** What is owed, by decision and by tenant and request id. The plans are on the disk only. */
export class OwedGrants {
  readonly #byDecision = new Map<string, OwedGrant>();
  readonly #byRequest = new Map<string, OwedGrant>();

  get size(): number {
    return this.#byDecision.size;
  }

  /** Where two processes allowed the same request id, the first that is added answers for it. */
  add(grant: OwedGrant): void {
    this.#byDecision.set(grant.decisionId, grant);
    const key = requestKey(grant.tenantId, grant.requestId);
    if (key !== undefined && !this.#byRequest.has(key)) this.#byRequest.set(key, grant);
  }

  remove(decisionId: string): void {
    const grant = this.#byDecision.get(decisionId);
    if (!grant) return;
    this.#byDecision.delete(decisionId);
    const key = requestKey(grant.tenantId, grant.requestId);
    if (key !== undefined && this.#byRequest.get(key) === grant) this.#byRequest.delete(key);
  }

  decision(decisionId: string): OwedGrant | undefined {
    return this.#byDecision.get(decisionId);
  }

  request(tenantId: string, requestId: string | undefined): OwedGrant | undefined {
    const key = requestKey(tenantId, requestId);
    return key === undefined ? undefined : this.#byRequest.get(key);
  }
}

/** Neither name can hold NUL. */
const requestKey = (tenantId: string, requestId: string | undefined): string | undefined =>
  requestId === undefined ? undefined : `${tenantId}\0${requestId}`;
