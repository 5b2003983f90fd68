import type { Sql } from 'postgres';
import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../../runtime/clock.ts';
import type { Cycle } from '../cycles.ts';
import { isConflict } from '../database/errors.ts';
import type { Actor } from './audit-sql.ts';
import { FINALISE_SQL, ms, NUMBER_TAKEN } from './billable-sql.ts';
import { documentOf, type Heading, type InvoiceDocument, invoiceRow, lineRow } from './document.ts';
import { type Draft, draftOf, type Held } from './draft.ts';
import { instant, type Terms } from './scope.ts';

export interface InvoicingDeps {
  sql: Sql;
  /** What is billed is priced by the configuration at the moment of closing. */
  terms: () => Terms;
  /** In front of each invoice's number; each issuer counts for itself. */
  issuer: string;
  clock: Clock;
}

/** What closing a cycle came to. `invoice` is undefined where nothing is to be billed. */
export interface Closed {
  tenantId: string;
  cycle: Cycle;
  invoice: InvoiceDocument | undefined;
  /** It had its invoice before. */
  already: boolean;
  held: Held[];
}

/** A batch of the worker is committed within so long of its beginning, which is when its rows say that they were recorded. */
const LATEST_COMMIT_MS = 24 * 60 * 60 * 1000;

/** So often a close is tried anew after usage came in between, or another worker was faster. */
const TRIES = 20;
const NUMBER_TRIES = 200;

/**
 * Makes the invoice of a tenant's cycle, once, whoever does so how often: of two at once one is second, and finds it made. A
 * process that dies has made it or has not. `sourceIp`: from where it was asked for.
 */
export async function closeCycle(
  tenantId: string,
  cycle: Cycle,
  by: string,
  deps: InvoicingDeps,
  sourceIp?: string | undefined,
): Promise<Closed> {
  for (let tries = 1; ; tries++) {
    const before = await invoiceOf(tenantId, cycle, deps.sql);
    if (before) return { tenantId, cycle, invoice: before, already: true, held: [] };
    const lateSince = await lastClose(tenantId, deps.sql);
    const draft = await draftOf({ tenantId, cycle, lateSince }, deps.terms(), deps.sql);
    const { held } = draft;
    if (draft.lines.length === 0 && draft.events === 0) {
      // Nothing is left, also where somebody has billed it since the first look.
      const since = await invoiceOf(tenantId, cycle, deps.sql);
      return { tenantId, cycle, invoice: since, already: since !== undefined, held };
    }
    try {
      const invoice = await finalise(tenantId, cycle, { draft, by, sourceIp }, deps);
      return { tenantId, cycle, invoice, already: false, held };
    } catch (error) {
      if (!isConflict(error) || tries === TRIES) throw error;
    }
  }
}

/** What closing the cycle now would come to. Writes nothing. */
export async function previewCycle(tenantId: string, cycle: Cycle, deps: Pick<InvoicingDeps, 'sql' | 'terms'>) {
  const lateSince = await lastClose(tenantId, deps.sql);
  return draftOf({ tenantId, cycle, lateSince }, deps.terms(), deps.sql);
}

async function finalise(
  tenantId: string,
  cycle: Cycle,
  { by, draft, sourceIp }: Actor & { draft: Draft },
  { clock, issuer, sql }: InvoicingDeps,
): Promise<InvoiceDocument> {
  const finalisedAt = clock.now();
  const id = uuidv7({ msecs: finalisedAt });
  const lines = JSON.stringify(draft.lines.map((line, index) => lineRow(id, line, index)));
  for (let tries = 1; ; tries++) {
    const number = await nextNumber(issuer, sql);
    const heading: Heading = { id, kind: 'invoice', issuer, number, tenantId, cycle, finalisedAt };
    const document = documentOf(heading, draft);
    const parameters = [
      ...draft.scope.parameters,
      JSON.stringify(invoiceRow(heading, draft, document)),
      lines,
      String(draft.events),
      draft.digest,
      issuer,
      String(number),
      by,
      sourceIp ?? null,
      JSON.stringify(draft.adjustments),
    ];
    try {
      await sql.unsafe(FINALISE_SQL, parameters, { prepare: true });
      return document;
    } catch (error) {
      // All that was computed still holds: others who close at the same time have only taken the number.
      if (!isConflict(error, NUMBER_TAKEN) || tries === NUMBER_TRIES) throw error;
    }
  }
}

export async function nextNumber(issuer: string, sql: Sql): Promise<number> {
  const [row] = await sql`select last from invoice_numbers where issuer = ${issuer}`;
  return Number(row?.last ?? 0) + 1;
}

async function invoiceOf(tenantId: string, { start }: Cycle, sql: Sql): Promise<InvoiceDocument | undefined> {
  const [row] = await sql`
    select document from invoices
    where kind = 'invoice' and tenant_id = ${tenantId} and cycle_start = ${instant(start)}::timestamptz`;
  return row && JSON.parse(row.document);
}

/**
 * What was recorded before is on an invoice, or held, if its cycle has one. The invoice of the latest cycle counts, and not the
 * latest invoice: closing an older cycle after it leaves what is late of the newer one.
 */
export async function lastClose(tenantId: string, sql: Sql): Promise<number> {
  const [row] = await sql.unsafe(
    `select ${ms('finalised_at')} as since from invoices
     where kind = 'invoice' and tenant_id = $1 order by cycle_start desc limit 1`,
    [tenantId],
    { prepare: true },
  );
  return row?.since ? row.since - LATEST_COMMIT_MS : 0;
}
