import t from 'tap'
import type { Store } from '../../../src/core/store.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { mountAt } from '../../leases/rig.ts'
import { sealed } from '../../store/sealed.ts'
import { createRig } from './rig.ts'

const refused = { as: 'invalid_request', error: 'invalid role or secret ID' }

t.test('a login gives the token that the role describes (2.4)', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('Web', {
    token_policies: 'Zed, alpha ,zed', token_ttl: '20m', token_max_ttl: '1h', token_num_uses: 9, token_bound_cidrs: '127.0.0.0/8'
  })
  const { secretId } = await rig.secretId('web', { metadata: '{"team":"blue","role_name":"forged"}' })
  const { as, auth, warnings } = await rig.login(roleId, secretId)
  t.equal(as, 'ok')
  t.match(auth, {
    policies: ['alpha', 'default', 'zed'],
    metadata: { role_name: 'web', team: 'blue' },
    lease_duration: 1200,
    renewable: true,
    orphan: true,
    num_uses: 9
  })
  t.strictSame(warnings, [])
  const live = await rig.tokens.peek(String(auth['client_token']), rig.clock.now())
  t.match(live?.token, {
    path: 'auth/approle/login', displayName: 'approle', boundCidrs: ['127.0.0.0/8'], metadata: { role_name: 'web', team: 'blue' }
  })
})

t.test('the display name of a token comes from a nested mount path', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web', {}, 'team/other')
  const { secretId } = await rig.secretId('web', {}, 'team/other')
  const { auth } = await rig.login(roleId, secretId, { mount: 'team/other' })
  const live = await rig.tokens.peek(String(auth['client_token']), rig.clock.now())
  t.match(live?.token, { path: 'auth/team/other/login', displayName: 'team-other' })
})

t.test('SEC-050 every way not to know a pair has one answer', async (t) => {
  const rig = createRig()
  const r1 = await rig.role('r1')
  const r2 = await rig.role('r2')
  const gone = await rig.role('gone')
  const own = await rig.secretId('r1')
  const foreign = await rig.secretId('r2')
  const goneSecret = await rig.secretId('gone')
  await rig.ask('delete', 'auth/approle/role/gone')
  t.match(await rig.login('unknown', own.secretId), refused, 'unknown role_id')
  t.match(await rig.login(r1, 'b7b7b7b7-0000-4000-8000-000000000000'), refused, 'random secret_id')
  t.match(await rig.login(r1, foreign.secretId), refused, 'secret_id of another role')
  t.match(await rig.login(gone, goneSecret.secretId), refused, 'deleted role')
  t.match(await rig.login('r1', own.secretId), refused, 'the name is no role_id')
  t.match(await rig.login('unknown'), refused, 'unknown role_id without a secret_id')
  t.match(await rig.login(r1, own.secretId, { mount: 'team/other' }), refused, 'another mount')
  t.match(await rig.login(r2, foreign.secretId), { as: 'ok' })
})

t.test('what is missing is named, as clients know it (2.4)', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web')
  const { secretId } = await rig.secretId('web')
  t.match(await rig.login(undefined, secretId), { as: 'invalid_request', error: 'missing role_id' })
  t.match(await rig.login('  ', secretId), { as: 'invalid_request', error: 'missing role_id' })
  t.match(await rig.login(roleId), { as: 'invalid_request', error: 'missing secret_id' })
  t.match(await rig.login(roleId, ' '), { as: 'invalid_request', error: 'missing secret_id' })
  t.match(await rig.login(` ${roleId} `, ` ${secretId}\n`), { as: 'ok' })
})

t.test('SEC-064 what is no text is malformed, and reaches no store', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web')
  for (const bad of [['k', 'EX', '1'], { a: 1 }, 5, true]) {
    t.match(await rig.login(bad, 'x'), { as: 'invalid_request', error: /converting input for field "role_id"/ })
    t.match(await rig.login(roleId, bad), { as: 'invalid_request', error: /converting input for field "secret_id"/ })
  }
  t.match(await rig.login(null, 'x'), { as: 'invalid_request', error: 'missing role_id' })
  t.match(await rig.login('\ud800', 'x'), { as: 'invalid_request', error: /well-formed/ })
  t.match(await rig.login('x'.repeat(1_000_000), 'x'), refused)
  t.match(await rig.login('__proto__', 'constructor'), refused)
})

t.test('SEC-051 an expired secret_id is refused before any sweep', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web')
  const { secretId, accessor } = await rig.secretId('web', { ttl: '1s' })
  rig.clock.advance(0.9)
  t.match(await rig.login(roleId, secretId), { as: 'ok' })
  rig.clock.advance(0.1)
  t.match(await rig.login(roleId, secretId), refused)
  t.match(await rig.ask('write', 'auth/approle/role/web/secret-id/lookup', { secret_id: secretId }), { as: 'empty' })
  t.match(await rig.ask('write', 'auth/approle/role/web/secret-id-accessor/lookup', { secret_id_accessor: accessor }), { as: 'absent' })
  t.match(await rig.ask('list', 'auth/approle/role/web/secret-id'), { as: 'not_found' })
  await rig.sweep()
  t.equal((await rig.store.list('secret-of/', { limit: 10 })).length, 0, 'the sweep removed it')
})

t.test('SEC-054 a wrong source address does not burn a use', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web')
  const { secretId } = await rig.secretId('web', { num_uses: 1, cidr_list: '10.0.0.0/8' })
  t.match(await rig.login(roleId, secretId, { from: '192.0.2.1' }), {
    as: 'invalid_request', error: 'source address "192.0.2.1" unauthorized through CIDR restrictions on the secret ID'
  })
  t.match(await rig.login(roleId, secretId, { from: '10.0.0.1' }), { as: 'ok' })
  t.match(await rig.login(roleId, secretId, { from: '10.0.0.1' }), refused)
})

t.test('SEC-057 a role made again does not know the secret_ids of its former life', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web', { role_id: 'chosen-role-id' })
  const { secretId } = await rig.secretId('web')
  t.match(await rig.login(roleId, secretId), { as: 'ok' })
  await rig.ask('delete', 'auth/approle/role/web')
  await rig.role('web', { role_id: 'chosen-role-id' })
  t.match(await rig.login(roleId, secretId), refused)
})

t.test('SEC-060 addresses: the secret_id narrows the role, mapped is IPv4, a zone id is nowhere', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web', { secret_id_bound_cidrs: '10.0.0.0/8' })
  const narrow = await rig.secretId('web', { cidr_list: '10.1.0.0/16' })
  const plain = await rig.secretId('web')
  const unauthorized = { as: 'invalid_request', error: /unauthorized/ }
  t.match(await rig.login(roleId, narrow.secretId, { from: '10.2.0.1' }), unauthorized)
  t.match(await rig.login(roleId, narrow.secretId, { from: '::ffff:10.1.0.5' }), { as: 'ok' })
  t.match(await rig.login(roleId, narrow.secretId, { from: 'fe80::1%eth0' }), unauthorized)
  t.match(await rig.login(roleId, plain.secretId, { from: '11.0.0.1' }), {
    as: 'invalid_request', error: 'source address "11.0.0.1" unauthorized by CIDR restrictions on the role'
  })
  for (const wider of ['11.0.0.0/8', '0.0.0.0/0']) {
    const answer = await rig.ask('write', 'auth/approle/role/web/secret-id', { cidr_list: wider })
    t.match(answer, { as: 'invalid_request', error: `failed to verify subset relationship between CIDR blocks on the role ["10.0.0.0/8"] and CIDR blocks on the secret ID ["${wider}"]` })
  }
  await rig.role('web', { secret_id_bound_cidrs: '10.1.0.0/24' })
  t.match(await rig.login(roleId, narrow.secretId, { from: '10.1.0.5' }), { as: 'invalid_request', error: /subset/ }, 'wider than the role is now')
})

t.test('a role without secret_ids is bound by addresses alone', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web', { bind_secret_id: false, secret_id_bound_cidrs: '10.0.0.0/8' })
  t.match(await rig.login(roleId, undefined, { from: '10.0.0.1' }), { as: 'ok', auth: { metadata: { role_name: 'web' } } })
  t.match(await rig.login(roleId, 'whatever', { from: '10.0.0.1' }), { as: 'ok' })
  t.match(await rig.login(roleId, undefined, { from: '127.0.0.1' }), { as: 'invalid_request', error: /CIDR restrictions on the role/ })
})

t.test('a token is bound to the narrowest of address, secret_id and role', async (t) => {
  const rig = createRig()
  async function boundTo (role: Record<string, string | boolean>, secret: Record<string, string>, from: string) {
    const roleId = await rig.role('web', { token_bound_cidrs: '', token_strictly_bind_ip: false, ...role })
    const { secretId } = await rig.secretId('web', secret)
    const { auth, error } = await rig.login(roleId, secretId, { from })
    if (error !== '') return error
    return (await rig.tokens.peek(String(auth['client_token']), rig.clock.now()))?.token.boundCidrs
  }
  t.strictSame(await boundTo({}, {}, '10.0.0.1'), [])
  t.strictSame(await boundTo({ token_bound_cidrs: '127.0.0.1/32' }, {}, '10.0.0.1'), ['127.0.0.1'])
  t.strictSame(await boundTo({ token_bound_cidrs: '127.0.0.0/8' }, { token_bound_cidrs: '127.0.0.9/32' }, '10.0.0.1'), ['127.0.0.9'])
  t.strictSame(await boundTo({ token_strictly_bind_ip: true }, {}, '10.0.0.1'), ['10.0.0.1'])
  t.strictSame(await boundTo({ token_strictly_bind_ip: true }, { token_bound_cidrs: '10.0.0.0/8' }, '10.0.0.1'), ['10.0.0.1'])
  t.match(await boundTo({ token_strictly_bind_ip: true }, { token_bound_cidrs: '11.0.0.0/8' }, '10.0.0.1'), /unauthorized/,
    'no address is in both')
})

t.test('batch tokens are refused, also where the mount asks for them (3.8)', async (t) => {
  for (const tokenType of ['batch', 'default-batch']) {
    const mount = mountAt('approle', { table: 'auth', type: 'approle' })
    const mounts = [{ ...mount, config: { ...mount.config, tokenType } }]
    const rig = createRig({ mounts })
    const roleId = await rig.role('web')
    const { secretId } = await rig.secretId('web', { num_uses: 1 })
    t.match(await rig.login(roleId, secretId), { as: 'invalid_request', error: 'invalid \'token_type\' value "batch"' })
    await rig.role('web', { token_type: 'service' })
    t.equal((await rig.login(roleId, secretId)).as, tokenType === 'batch' ? 'invalid_request' : 'ok')
  }
})

t.test('policies that no login may give are refused, and take no use', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web', { token_policies: 'root' })
  const { secretId } = await rig.secretId('web', { num_uses: 1 })
  t.match(await rig.login(roleId, secretId), { as: 'invalid_request', error: 'auth methods cannot create root tokens' })
  await rig.role('web', { token_policies: 'response-wrapping' })
  t.match(await rig.login(roleId, secretId), { as: 'invalid_request', error: 'cannot assign policy "response-wrapping"' })
  await rig.role('web', { token_policies: 'plain' })
  t.match(await rig.login(roleId, secretId), { as: 'ok' })
})

t.test('SEC-074 renewal follows the role as it is now, and its life, not its name', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web', { token_ttl: '20m', token_max_ttl: '1h' })
  const { secretId } = await rig.secretId('web')
  const { auth } = await rig.login(roleId, secretId)
  const live = await rig.tokens.peek(String(auth['client_token']), rig.clock.now())
  const renewal = JSON.parse(JSON.stringify(live?.token.renewal)) as Record<string, string>
  t.strictSame(await rig.renew(renewal), { ttlSeconds: 1200, ttlSecondsMax: 3600, periodSeconds: 0 })
  await rig.role('web', { token_ttl: '5m', token_period: '10m' })
  t.strictSame(await rig.renew(renewal), { ttlSeconds: 300, ttlSecondsMax: 3600, periodSeconds: 600 })
  await rig.ask('delete', 'auth/approle/role/web')
  const gone = { code: 'failed', message: 'failed to renew entry: role "web" does not exist during renewal' }
  await t.rejects(rig.renew(renewal), gone)
  await rig.role('web')
  await t.rejects(rig.renew(renewal), gone)
})

/** Counts what a login asks of the store, in order. */
function counting (store: Store) {
  const calls: string[] = []
  const counted: Store = {
    ...store,
    get (keys) {
      calls.push(`get ${keys.length}`)
      return store.get(keys)
    },
    commit (changes, options) {
      calls.push(`commit ${changes.length}`)
      return store.commit(changes, options)
    },
    list (prefix, page) {
      calls.push('list')
      return store.list(prefix, page)
    }
  }
  return { counted, take: () => calls.splice(0) }
}

t.test('SEC-050 CRY-024 refusals cost the same HMACs and store calls, and a login takes two trips', async (t) => {
  const { counted, take } = counting(sealed(createMemoryStore()))
  const rig = createRig({ store: counted })
  const r1 = await rig.role('r1')
  const r2 = await rig.role('r2')
  const { secretId } = await rig.secretId('r1')
  const foreign = await rig.secretId('r2')
  await rig.login(r1, secretId)
  await rig.login(r2, foreign.secretId)
  take()
  async function costOf (roleId: string, secret?: string) {
    const before = rig.macCount()
    const answer = await rig.login(roleId, secret)
    return { as: answer.as, macs: rig.macCount() - before, calls: take() }
  }
  const cheap = { as: 'invalid_request', macs: 2, calls: ['get 3'] }
  t.strictSame(await costOf('unknown', secretId), cheap)
  t.strictSame(await costOf('unknown'), cheap)
  t.strictSame(await costOf(r1, 'b7b7b7b7-0000-4000-8000-000000000000'), cheap)
  t.strictSame(await costOf(r1, foreign.secretId), cheap)
  t.strictSame(await costOf(r1), cheap)
  t.strictSame(await costOf(r1, secretId), { as: 'ok', macs: 2, calls: ['get 3', 'commit 2'] })
  const fresh = createRig({ store: counted })
  await fresh.ask('read', 'auth/approle/role/r1')
  take()
  await fresh.login(r1, secretId)
  t.strictSame(take(), ['get 3', 'get 2', 'commit 3'], 'one trip more for the first login of a role')
})

t.test('SEC-069 refused logins leave nothing behind', async (t) => {
  const { counted, take } = counting(sealed(createMemoryStore()))
  const rig = createRig({ store: counted })
  const roleId = await rig.role('web')
  await rig.secretId('web')
  take()
  for (let i = 0; i < 200; i++) await rig.login(i % 2 === 0 ? roleId : `made-up-${i}`, `wrong-${i}`)
  t.strictSame(take().filter((call) => call.startsWith('commit')), [])
})

t.test('a wrong guess of where a role is costs a trip, never an answer', async (t) => {
  const store = sealed(createMemoryStore())
  const here = createRig({ store })
  const there = createRig({ store })
  const roleId = await here.role('web', { role_id: 'chosen-role-id' })
  const first = await here.secretId('web')
  t.match(await there.login(roleId, first.secretId), { as: 'ok' })
  await here.ask('delete', 'auth/approle/role/web')
  t.match(await there.login(roleId, first.secretId), refused)
  await here.role('other', { role_id: 'chosen-role-id' })
  const second = await here.secretId('other')
  t.match(await there.login(roleId, second.secretId), { as: 'ok', auth: { metadata: { role_name: 'other' } } })
  t.match(await there.login(roleId, first.secretId), refused)
})

t.test('SEC-078 where the request cannot be audited, no use is taken', async (t) => {
  let broken = false
  const audit = {
    recordRequest: async () => { if (broken) throw new Error('audit device') },
    recordResponse: async () => {}
  }
  const rig = createRig({ audit })
  const roleId = await rig.role('web')
  const { secretId } = await rig.secretId('web', { num_uses: 1 })
  broken = true
  await t.rejects(rig.login(roleId, secretId))
  broken = false
  t.match(await rig.login(roleId, secretId), { as: 'ok' })
})
