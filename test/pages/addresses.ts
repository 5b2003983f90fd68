/** Every page that can be looked at by its address, of each area; `main` is what its picture is named after. */
export interface PageAddress {
  name: string;
  path: string;
}

const invoice = (area: string, id: string): PageAddress[] => [
  { name: `${area}-invoice`, path: `/${area}/invoices/${id}` },
];

/** `invoiceId` and `keyId` are acme's. */
export const adminAddresses = ({ cycleId, invoiceId, keyId }: Ids): PageAddress[] => [
  { name: 'admin-users', path: '/admin' },
  { name: 'admin-user', path: '/admin/user?tenant_id=acme&user_id=alice' },
  {
    name: 'admin-confirm',
    path: '/admin/grant?tenant_id=acme&user_id=alice&tokens=20000&expires_at=2099-01-01T00%3A00&reason=release+week',
  },
  { name: 'admin-tenants', path: '/admin/tenants' },
  { name: 'admin-tenant', path: '/admin/tenant?tenant_id=acme' },
  { name: 'admin-keys', path: '/admin/keys' },
  { name: 'admin-key-new', path: '/admin/keys/new' },
  { name: 'admin-key-revoke', path: `/admin/keys/${keyId}/revoke` },
  { name: 'admin-providers', path: '/admin/providers' },
  { name: 'admin-invoices', path: '/admin/invoices' },
  ...invoice('admin', invoiceId),
  { name: 'admin-cycle', path: `/admin/cycle?id=${encodeURIComponent(cycleId)}` },
  { name: 'admin-ledger', path: '/admin/ledger' },
  { name: 'admin-ledger-compared', path: '/admin/ledger?check=now' },
  { name: 'admin-audit', path: '/admin/audit?tenant_id=globex&limit=14' },
  { name: 'admin-not-found', path: '/admin/nothing' },
];

export const portalAddresses = ({ invoiceId, keyId }: Ids): PageAddress[] => [
  { name: 'portal-overview', path: '/portal' },
  { name: 'portal-usage', path: '/portal/usage' },
  { name: 'portal-users', path: '/portal/users' },
  { name: 'portal-user', path: '/portal/user?user_id=alice' },
  { name: 'portal-invoices', path: '/portal/invoices' },
  { name: 'portal-upcoming', path: '/portal/invoices/upcoming' },
  ...invoice('portal', invoiceId),
  { name: 'portal-keys', path: '/portal/keys' },
  { name: 'portal-key-revoke', path: `/portal/keys/${keyId}/revoke` },
];

export interface Ids {
  invoiceId: string;
  keyId: string;
  /** Of a cycle that is over and not closed. */
  cycleId: string;
}
