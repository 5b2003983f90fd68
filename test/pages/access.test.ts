import { beforeAll, describe, expect, test } from 'vitest';
import { adminAddresses, type Ids, portalAddresses } from './addresses.ts';
import { Visitor } from './visitor.ts';
import { startWorld, type World } from './world.ts';

let world: World;
let ids: Ids & { key: string };
/** Signed in: the admin, acme, globex. */
let admin: Visitor;
let acme: Visitor;
let globex: Visitor;
let globexKeyId: string;

beforeAll(async () => {
  world = await startWorld();
  const { id: keyId, key } = await world.issueKey({ tenant_id: 'acme', name: 'portal' });
  const other = await world.issueKey({ tenant_id: 'globex', name: 'portal' });
  globexKeyId = other.id;
  ids = { key, keyId, ...(await world.closeOne()) };
  [admin, acme, globex] = await Promise.all([
    Visitor.signedIn(world.billing, 'admin', { token: world.adminToken }),
    Visitor.signedIn(world.billing, 'portal', { key }),
    Visitor.signedIn(world.billing, 'portal', { key: other.key }),
  ]);
}, 120_000);

describe('a tenant sees its own alone', () => {
  test('every address with an id of another tenant is not found, and looks as one that is not there', async () => {
    const theirs = [
      '/portal/user?user_id=alice',
      `/portal/invoices/${ids.invoiceId}`,
      `/portal/invoices/${ids.invoiceId}/csv`,
      '/portal/invoices/INV-000001',
      `/portal/keys/${ids.keyId}/revoke`,
      '/portal/usage.csv?tenant_id=acme',
    ];
    const nowhere = await globex.get('/portal/nothing/of/the/kind');
    expect(nowhere.status).toBe(404);
    for (const path of theirs) {
      const answer = await globex.get(path);
      expect([path, answer.status]).toEqual([path, 404]);
      expect(answer.text).toBe(nowhere.text);
    }
    const post = await globex.post(`/portal/keys/${ids.keyId}/revoke`);
    expect(post.status).toBe(404);
    expect((await acme.get('/portal/keys')).text).toMatch(/portal · .*active/s);
  });

  test('the same addresses are there for whose they are', async () => {
    for (const { path } of portalAddresses(ids)) expect([path, (await acme.get(path)).status]).toEqual([path, 200]);
    expect((await acme.get(`/portal/invoices/${ids.invoiceId}/csv`)).headers.get('content-type')).toMatch('text/csv');
    expect((await globex.get(`/portal/keys/${globexKeyId}/revoke`)).status).toBe(200);
  });

  test('no page of the portal names another tenant, or a user of one', async () => {
    for (const path of [
      '/portal',
      '/portal/usage',
      '/portal/users',
      '/portal/invoices',
      '/portal/keys',
      '/portal/usage.csv?group_by=user',
    ]) {
      const { text } = await globex.get(path);
      expect(text).not.toMatch(/acme|alice|erin/);
    }
  });

  test('a session of the portal opens no page of the admin, nor the other way round', async () => {
    for (const { path } of adminAddresses(ids)) expect([path, (await acme.get(path)).status]).toEqual([path, 303]);
    for (const { path } of portalAddresses(ids)) expect([path, (await admin.get(path)).status]).toEqual([path, 303]);
    expect((await new Visitor(world.billing).get('/portal/live')).status).toBe(303);
    // The secret of one is no cookie of the other.
    const stolen = new Visitor(world.billing, { openclaw_admin: acme.cookies.openclaw_portal ?? '' });
    expect((await stolen.get('/admin')).status).toBe(303);
  });
});

test('what moves in another tenant is not told', async () => {
  const told = await globex.follow('/portal/live');
  await world.use('acme', 'alice', 1_000);
  await world.use('globex', 'dave', 1_000);
  const text = await told.until(/"limit":"user:dave:tokens:month"/);
  expect(text).not.toMatch(/acme|alice/);
  const all = await admin.follow('/admin/live');
  await world.use('acme', 'alice', 1_000);
  expect(await all.until(/"limit":"user:alice:tokens:month"/)).toContain('"tenant_id":"acme"');
});

describe('a form that is not ours is refused', () => {
  const FORMS = [
    ['/admin/sign-out', {}],
    ['/admin/link', { tenant_id: 'acme' }],
    ['/admin/grant', { tenant_id: 'acme', user_id: 'alice', tokens: '5', expires_at: '2099-01-01T00:00', reason: 'x' }],
    ['/admin/grant/take-back', { tenant_id: 'acme', user_id: 'alice', id: 'x' }],
    ['/admin/keys/issue', { tenant_id: 'acme', mark: 'x' }],
    ['/admin/keys/KEY/rotate', {}],
    ['/admin/keys/KEY/revoke', {}],
    ['/admin/cycle', { id: 'CYCLE' }],
    ['/admin/invoices/INVOICE/void', {}],
    ['/admin/ledger/replay', {}],
  ] as const;

  test.each(FORMS)('POST %s', async (form, fields) => {
    const path = form.replace('KEY', ids.keyId).replace('INVOICE', ids.invoiceId);
    for (const token of [undefined, 'wrong', acme.formToken]) {
      const answer = await admin.postWith(path, { ...fields, ...(token !== undefined && { form_token: token }) });
      expect([token, answer.status]).toEqual([token, 403]);
    }
  });

  test('in the portal, and to sign in', async () => {
    expect((await acme.postWith(`/portal/keys/${ids.keyId}/revoke`, { form_token: globex.formToken })).status).toBe(
      403,
    );
    const nobody = new Visitor(world.billing);
    expect((await nobody.postWith('/admin/sign-in', { token: world.adminToken })).status).toBe(403);
    expect((await nobody.postWith('/portal/enter/anything', {})).status).toBe(403);
  });

  test('and nothing was done by any of them', async () => {
    expect((await admin.get('/admin/invoices')).text).not.toContain('>void<');
    expect((await acme.get('/portal/keys')).text).not.toContain('>revoked<');
    expect((await admin.get('/admin/user?tenant_id=acme&user_id=alice')).text).not.toContain('Take back');
  });
});

describe('every page', () => {
  test('has a strict policy, and is kept by nobody', async () => {
    for (const { path } of adminAddresses(ids)) {
      const { headers, text } = await admin.get(path);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toMatch(/unsafe|\*/);
      expect(headers.get('cache-control')).toBe('private, no-store');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(text).not.toMatch(/ style="| on[a-z]+="|<script>/);
    }
  });

  test('has cookies that no script and no other site can use', async () => {
    const visitor = new Visitor(world.billing);
    await visitor.get('/admin/sign-in');
    const [cookie = ''] = visitor.setCookies;
    expect(cookie).toMatch(/^openclaw_form=.+; Path=\/; HttpOnly; SameSite=Strict$/);
    const answer = await fetch(`${world.billing}/admin/sign-in`, { headers: { 'X-Forwarded-Proto': 'https' } });
    expect(answer.headers.getSetCookie()[0]).toMatch(
      /^__Host-openclaw_form=.+; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
    );
  });

  test('shows no token, no key and no digest', async () => {
    const secrets = [
      world.adminToken,
      ids.key,
      ids.key.slice(-38),
      admin.cookies.openclaw_admin ?? 'x',
      acme.cookies.openclaw_portal ?? 'x',
    ];
    const pages = [
      ...(await Promise.all(adminAddresses(ids).map(({ path }) => admin.get(path)))),
      ...(await Promise.all(portalAddresses(ids).map(({ path }) => acme.get(path)))),
    ];
    for (const { text } of pages) for (const secret of secrets) expect(text.includes(secret)).toBe(false);
  });
});

test('who shows wrong tokens again and again has to wait', async () => {
  const guesser = new Visitor(world.billing);
  await guesser.get('/admin/sign-in');
  const statuses: number[] = [];
  for (let i = 0; i < 32; i++) statuses.push((await guesser.post('/admin/sign-in', { token: `guess ${i}` })).status);
  expect(statuses.slice(0, 30)).toEqual(Array(30).fill(401));
  expect(statuses.slice(30)).toEqual([429, 429]);
  expect((await guesser.post('/admin/sign-in', { token: 'another' })).headers.get('retry-after')).toMatch(/^\d+$/);
});

test('a page after signing in is one of ours', async () => {
  for (const next of [
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example',
    '/portal',
    '/admin\\x',
    '/admin?x\r\nSet-Cookie: a=b',
  ]) {
    const visitor = new Visitor(world.billing);
    await visitor.get('/admin/sign-in');
    const answer = await visitor.post('/admin/sign-in', { token: world.adminToken, next });
    expect([next, answer.headers.get('location')]).toEqual([next, '/admin']);
  }
});
