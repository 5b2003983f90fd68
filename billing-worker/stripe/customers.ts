import { createHash } from 'node:crypto';
import type { Sql } from 'postgres';
import type Stripe from 'stripe';
import type { TenantsConfig } from '../../schemas/config/tenants.ts';
import { cut } from './cut.ts';

export interface CustomerDeps {
  stripe: Stripe;
  target: string;
  tenants: () => TenantsConfig;
  sql: Sql;
}

/** Who a tenant is at Stripe: as the configuration says, else who was made for it before, else somebody new. */
export async function customerOf(
  tenantId: string,
  refusals: number,
  { sql, stripe, target, tenants }: CustomerDeps,
): Promise<string> {
  const configured = tenants().tenants[tenantId]?.stripe_customer;
  if (configured !== undefined) return configured;
  const known = await knownCustomer(tenantId, target, sql);
  if (known) return known;
  const digest = createHash('sha256').update(tenantId).digest('hex');
  const made = await stripe.customers.create(
    { name: cut(tenantId, 256), metadata: { openclaw_tenant_id: cut(tenantId, 500) } },
    { idempotencyKey: `customer:${digest}:${refusals}` },
  );
  await sql`
    insert into stripe_customers (tenant_id, target, customer) values (${tenantId}, ${target}, ${made.id})
    on conflict do nothing`;
  // Of two workers at once one was first, and its customer is the tenant's.
  return (await knownCustomer(tenantId, target, sql)) ?? made.id;
}

async function knownCustomer(tenantId: string, target: string, sql: Sql): Promise<string | undefined> {
  const [row] = await sql`
    select customer from stripe_customers where tenant_id = ${tenantId} and target = ${target}`;
  return row?.customer;
}
