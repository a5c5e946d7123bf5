import t from 'tap'
import type { JsonObject } from '../../../src/core/json.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { sealed } from '../../store/sealed.ts'
import { createRig } from './rig.ts'

const at = 'auth/approle/role'
const invalid = (error: string | RegExp) => ({ as: 'invalid_request', error })
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[48][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

t.test('a secret_id is a UUID with an accessor, and looks up as it was asked for (2.3)', async (t) => {
  const rig = createRig()
  await rig.role('web')
  const { data } = await rig.ask('write', `${at}/web/secret-id`, {
    metadata: '{"team":"blue"}', cidr_list: '127.0.0.0/8, 10.0.0.0/8', token_bound_cidrs: ['127.0.0.0/8'], num_uses: 3, ttl: '90s'
  })
  t.match(data, { secret_id: uuid, secret_id_accessor: uuid, secret_id_ttl: 90, secret_id_num_uses: 3 })
  const shown = {
    secret_id_accessor: data['secret_id_accessor'],
    secret_id_num_uses: 3,
    secret_id_ttl: 90,
    creation_time: '2026-01-01T12:00:00.000000000Z',
    expiration_time: '2026-01-01T12:01:30.000000000Z',
    last_updated_time: '2026-01-01T12:00:00.000000000Z',
    metadata: { team: 'blue' },
    cidr_list: ['127.0.0.0/8', '10.0.0.0/8'],
    token_bound_cidrs: ['127.0.0.0/8']
  }
  const { secret_id: secretId = '', secret_id_accessor: accessor = '' } = data
  t.strictSame((await rig.ask('write', `${at}/web/secret-id/lookup`, { secret_id: secretId })).data, shown)
  t.strictSame((await rig.ask('write', `${at}/web/secret-id-accessor/lookup`, { secret_id_accessor: accessor })).data, shown)
})

t.test('one that never expires shows the year 1', async (t) => {
  const rig = createRig()
  await rig.role('web')
  const { secretId } = await rig.secretId('web')
  const { data } = await rig.ask('write', `${at}/web/secret-id/lookup`, { secret_id: secretId })
  t.match(data, { expiration_time: '0001-01-01T00:00:00Z', secret_id_ttl: 0, secret_id_num_uses: 0, metadata: {}, cidr_list: [] })
})

t.test('SEC-070 the secret_id appears in the answer that makes it and nowhere else', async (t) => {
  const inner = createMemoryStore()
  const written: string[] = []
  const rig = createRig({
    store: sealed({
      ...inner,
      commit (changes, options) {
        written.push(JSON.stringify(changes, (_, value: unknown) => value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value))
        return inner.commit(changes, options)
      }
    })
  })
  const roleId = await rig.role('web')
  const { secretId, accessor } = await rig.secretId('web')
  const custom = 'CNRYa8dK2mQ0zXw71LpRt5YbN3'
  await rig.ask('write', `${at}/web/custom-secret-id`, { secret_id: custom })
  await rig.login(roleId, secretId)
  const answers = JSON.stringify([
    await rig.ask('list', `${at}/web/secret-id`),
    await rig.ask('read', `${at}/web`),
    await rig.ask('write', `${at}/web/secret-id-accessor/lookup`, { secret_id_accessor: accessor }),
    await rig.ask('write', `${at}/web/secret-id/lookup`, { secret_id: secretId }),
    await rig.ask('read', `sys/latchkey/secret-ids/${accessor}`)
  ])
  t.match(answers, accessor)
  for (const secret of [secretId, custom]) {
    t.notMatch(answers, secret)
    t.notMatch(written.join(), secret)
  }
  t.notMatch(written.join(), roleId, 'CRY-028 the role_id is sealed, and its index is an HMAC')
})

t.test('CRY-020 accessors differ for the same secret_id on another role and mount, and lead to their shard', async (t) => {
  const rig = createRig()
  const custom = { secret_id: 'aaaaaaaaaaaaaaaaaaaaaaaaaa' }
  await rig.role('r1')
  await rig.role('r2')
  await rig.role('r1', {}, 'team/other')
  const accessors = new Set<unknown>()
  for (const path of ['auth/approle/role/r1', 'auth/approle/role/r2', 'auth/team/other/role/r1']) {
    const { data } = await rig.ask('write', `${path}/custom-secret-id`, custom)
    accessors.add(data['secret_id_accessor'])
  }
  t.equal(accessors.size, 3)
  for (const { key } of await rig.store.list('secret-of/', { limit: 10 })) t.match(key, /^([0-9a-f]{2}):secret\/\1/)
})

t.test('metadata comes in three forms (2.3)', async (t) => {
  const rig = createRig()
  await rig.role('web')
  async function readBack (metadata: string) {
    const { data, error } = await rig.ask('write', `${at}/web/secret-id`, { metadata })
    if (error !== '') return error
    return (await rig.ask('write', `${at}/web/secret-id/lookup`, { secret_id: data['secret_id'] ?? '' })).data['metadata']
  }
  t.strictSame(await readBack('{"a":"b","c":"d"}'), { a: 'b', c: 'd' })
  t.strictSame(await readBack('a=b, c=d=e'), { a: 'b', c: 'd=e' })
  t.strictSame(await readBack('eyJ0ZWFtIjoiYmx1ZSJ9'), { team: 'blue' })
  t.strictSame(await readBack('eye=blue'), { eye: 'blue' }, 'letters that could begin an object in base64')
  t.strictSame(await readBack(''), {})
  for (const bad of ['nonsense', '{"a":1}', '{"a":""}', '{"":"a"}', '{', '[]', 'a=', '=b', `a=${'x'.repeat(20_000)}`]) {
    t.match(await readBack(bad), /^failed to parse metadata: ./, bad.slice(0, 10))
  }
  t.match(await rig.ask('write', `${at}/web/secret-id`, { metadata: { a: 'b' } }),
    invalid(/Field validation failed: error converting input for field "metadata": ./))
})

t.test('metadata names that mean something to JavaScript are names', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web')
  const { secretId } = await rig.secretId('web', { metadata: '{"__proto__":"x","constructor":"y"}' })
  const { auth } = await rig.login(roleId, secretId)
  const metadata = auth['metadata'] as JsonObject
  t.strictSame(Object.entries(metadata).sort(), [['__proto__', 'x'], ['constructor', 'y'], ['role_name', 'web']])
})

t.test('a secret_id keeps within the limits of its role (2.3)', async (t) => {
  const rig = createRig({ ttlSecondsMax: 7200 })
  await rig.role('web', { secret_id_num_uses: 5, secret_id_ttl: '10m', token_bound_cidrs: '127.0.0.0/8' })
  const make = (data: JsonObject) => rig.ask('write', `${at}/web/secret-id`, data)
  t.match((await make({})).data, { secret_id_ttl: 600, secret_id_num_uses: 5 })
  t.match((await make({ num_uses: 2, ttl: 60 })).data, { secret_id_ttl: 60, secret_id_num_uses: 2 })
  const uses = 'num_uses cannot be higher than the role\'s secret_id_num_uses'
  t.match(await make({ num_uses: 6 }), invalid(uses))
  t.match(await make({ num_uses: 0 }), invalid(uses))
  t.match(await make({ num_uses: -1 }), invalid('num_uses cannot be negative'))
  t.match(await make({ ttl: '11m' }), invalid('ttl cannot be longer than the role\'s secret_id_ttl'))
  t.match(await make({ ttl: 0 }), invalid('ttl cannot be longer than the role\'s secret_id_ttl'))
  t.match(await make({ cidr_list: 'bad' }), invalid('failed to validate CIDR blocks: invalid CIDR address: bad'))
  t.match(await make({ token_bound_cidrs: 'bad' }), invalid('failed to validate token CIDR blocks: invalid CIDR address: bad'))
  t.match(await make({ token_bound_cidrs: '10.0.0.0/8' }), invalid(/^failed to verify subset relationship/))
  await rig.role('long')
  t.match((await rig.ask('write', `${at}/long/secret-id`, { ttl: '9999h' })).data, { secret_id_ttl: 7200 }, 'capped to the mount')
  await rig.role('none', { bind_secret_id: false, secret_id_bound_cidrs: '10.0.0.0/8' })
  t.match(await rig.ask('write', `${at}/none/secret-id`), invalid('bind_secret_id is not set on the role'))
})

t.test('SEC-073 a chosen secret_id is long enough and has no space', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web')
  const make = (secretId: string) => rig.ask('write', `${at}/web/custom-secret-id`, { secret_id: secretId })
  for (const bad of ['12345678', 'x'.repeat(12), 'has space in the middle', ' padded-padded-padded', 'é'.repeat(30), 'x'.repeat(1025)]) {
    t.match(await make(bad), invalid(/^secret_id must have 13 to 1024 printable ASCII characters/), bad.slice(0, 10))
  }
  t.match(await make(''), invalid('missing secret_id'))
  t.match((await make('custom-0123abcd')).data, { secret_id: 'custom-0123abcd', secret_id_accessor: uuid })
  t.match(await make('custom-0123abcd'), invalid('failed to store secret_id: SecretID is already registered'))
  t.match(await rig.login(roleId, 'custom-0123abcd'), { as: 'ok' })
  t.match((await make('custom_secret')).data, { secret_id: 'custom_secret' }, 'the shortest that clients register')
})

t.test('a chosen secret_id may be registered again when the former is dead, with all its uses', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web')
  const secret = { secret_id: 'chosen-chosen-chosen', num_uses: 2 }
  await rig.ask('write', `${at}/web/custom-secret-id`, secret)
  await rig.login(roleId, secret.secret_id)
  await rig.login(roleId, secret.secret_id)
  t.match(await rig.login(roleId, secret.secret_id), { as: 'invalid_request' })
  t.match(await rig.ask('write', `${at}/web/custom-secret-id`, secret), { as: 'ok' })
  t.match(await rig.login(roleId, secret.secret_id), { as: 'ok' })
  t.match(await rig.login(roleId, secret.secret_id), { as: 'ok' })
  t.match(await rig.login(roleId, secret.secret_id), { as: 'invalid_request' })
})

t.test('what is not there is told as clients know it (2.3)', async (t) => {
  const rig = createRig()
  await rig.role('web')
  const noRole = 'role "none" does not exist'
  t.match(await rig.ask('write', `${at}/none/secret-id`), { as: 'not_found', error: noRole })
  t.match(await rig.ask('list', `${at}/none/secret-id`), invalid(noRole))
  t.match(await rig.ask('write', `${at}/none/secret-id/lookup`, { secret_id: 'x' }), { as: 'failed', error: noRole })
  t.match(await rig.ask('write', `${at}/none/secret-id-accessor/lookup`, { secret_id_accessor: 'x' }), { as: 'failed', error: noRole })
  t.match(await rig.ask('list', `${at}/web/secret-id`), { as: 'not_found', error: '' })
  t.match(await rig.ask('write', `${at}/web/secret-id/lookup`, { secret_id: 'unknown' }), { as: 'empty' })
  t.match(await rig.ask('write', `${at}/web/secret-id/lookup`), invalid('missing secret_id'))
  t.match(await rig.ask('write', `${at}/web/secret-id/destroy`), invalid('missing secret_id'))
  const unknown = 'failed to find accessor entry for secret_id_accessor: "nope"'
  t.match(await rig.ask('write', `${at}/web/secret-id-accessor/lookup`, { secret_id_accessor: 'nope' }), { as: 'absent', data: { error: unknown } })
  t.match(await rig.ask('write', `${at}/web/secret-id-accessor/destroy`, { secret_id_accessor: 'nope' }), invalid(unknown))
  t.match(await rig.ask('write', `${at}/web/secret-id-accessor/lookup`), invalid('missing secret_id_accessor'))
})

t.test('a destroyed secret_id is gone for every path, by POST and DELETE', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web')
  for (const verb of ['write', 'delete'] as const) {
    const one = await rig.secretId('web')
    const two = await rig.secretId('web')
    t.match(await rig.ask(verb, `${at}/web/secret-id/destroy`, { secret_id: one.secretId }), { as: 'empty' })
    t.match(await rig.ask(verb, `${at}/web/secret-id/destroy`, { secret_id: one.secretId }), { as: 'empty' })
    t.match(await rig.ask(verb, `${at}/web/secret-id-accessor/destroy`, { secret_id_accessor: two.accessor }), { as: 'empty' })
    for (const { secretId, accessor } of [one, two]) {
      t.match(await rig.login(roleId, secretId), { as: 'invalid_request', error: 'invalid role or secret ID' })
      t.match(await rig.ask('write', `${at}/web/secret-id/lookup`, { secret_id: secretId }), { as: 'empty' })
      t.match(await rig.ask('write', `${at}/web/secret-id-accessor/lookup`, { secret_id_accessor: accessor }), { as: 'absent' })
    }
  }
  t.equal((await rig.store.list('secret-of/', { limit: 10 })).length, 0)
})

t.test('SEC-055 SEC-056 no role sees or destroys what is another\'s, nor does another mount', async (t) => {
  const rig = createRig()
  const r1 = await rig.role('r1')
  await rig.role('r2')
  await rig.role('r1', {}, 'team/other')
  const { secretId, accessor } = await rig.secretId('r1')
  for (const foreign of [`${at}/r2`, 'auth/team/other/role/r1']) {
    t.match(await rig.ask('write', `${foreign}/secret-id-accessor/lookup`, { secret_id_accessor: accessor }), { as: 'absent' })
    t.match(await rig.ask('write', `${foreign}/secret-id-accessor/destroy`, { secret_id_accessor: accessor }), { as: 'invalid_request' })
    t.match(await rig.ask('write', `${foreign}/secret-id/lookup`, { secret_id: secretId }), { as: 'empty' })
    t.match(await rig.ask('write', `${foreign}/secret-id/destroy`, { secret_id: secretId }), { as: 'empty' })
    t.match(await rig.ask('list', `${foreign}/secret-id`), { as: 'not_found' })
  }
  t.match(await rig.login(r1, secretId), { as: 'ok' })
})

t.test('remaining uses are counted down, and a spent one is gone', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web', { secret_id_num_uses: 2 })
  const { secretId } = await rig.secretId('web')
  await rig.login(roleId, secretId)
  t.match((await rig.ask('write', `${at}/web/secret-id/lookup`, { secret_id: secretId })).data, { secret_id_num_uses: 1 })
  await rig.login(roleId, secretId)
  t.match(await rig.ask('write', `${at}/web/secret-id/lookup`, { secret_id: secretId }), { as: 'empty' })
  t.match(await rig.ask('list', `${at}/web/secret-id`), { as: 'not_found' })
  rig.clock.advance(5)
  await rig.sweep()
  t.equal((await rig.store.list('secret-of/', { limit: 10 })).length, 0)
  t.strictSame(rig.errors, [])
})

t.test('a sweep between uses leaves a counted secret_id as it is', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web', { secret_id_num_uses: 3 })
  const { secretId } = await rig.secretId('web')
  for (let used = 1; used <= 3; used++) {
    t.match(await rig.login(roleId, secretId), { as: 'ok' })
    rig.clock.advance(6)
    await rig.sweep()
  }
  t.match(await rig.login(roleId, secretId), { as: 'invalid_request' })
})

t.test('secret_ids are listed by accessor, page by page', async (t) => {
  const rig = createRig()
  await rig.role('web')
  const accessors: string[] = []
  for (let i = 0; i < 1203; i++) accessors.push((await rig.secretId('web')).accessor)
  accessors.sort()
  t.strictSame((await rig.ask('list', `${at}/web/secret-id`)).data, { keys: accessors })
  t.strictSame((await rig.ask('list', `${at}/web/secret-id`, { limit: 3, after: accessors[9] ?? '' })).data,
    { keys: accessors.slice(10, 13) })
})

t.test('sys/latchkey/secret-ids shows the last use, at most a second old (2.3)', async (t) => {
  const rig = createRig()
  const roleId = await rig.role('web')
  const { secretId, accessor } = await rig.secretId('web', { num_uses: 9, ttl: '1h', metadata: 'team=blue' })
  const path = `sys/latchkey/secret-ids/${accessor}`
  const unused = {
    secret_id_accessor: accessor,
    mount: 'approle',
    role_name: 'web',
    creation_time: '2026-01-01T12:00:00.000000000Z',
    expiration_time: '2026-01-01T13:00:00.000000000Z',
    secret_id_num_uses: 9,
    uses_left: 9,
    metadata: { team: 'blue' },
    last_used_time: null,
    last_used_from: null
  }
  t.strictSame((await rig.ask('read', path)).data, unused)
  rig.clock.advance(10)
  await rig.login(roleId, secretId, { from: '10.0.0.1' })
  const once = { ...unused, uses_left: 8, last_used_time: '2026-01-01T12:00:10.000000000Z', last_used_from: '10.0.0.1' }
  t.strictSame((await rig.ask('read', path)).data, once)
  rig.clock.advance(0.5)
  await rig.login(roleId, secretId, { from: '10.0.0.2' })
  t.strictSame((await rig.ask('read', path)).data, { ...once, uses_left: 7 }, 'written at most once a second')
  rig.clock.advance(1)
  await rig.login(roleId, secretId, { from: '10.0.0.3' })
  t.match((await rig.ask('read', path)).data, { uses_left: 6, last_used_from: '10.0.0.3' })
  await rig.login('unknown', secretId, { from: '10.0.0.4' })
  t.match((await rig.ask('read', path)).data, { last_used_from: '10.0.0.3' })
  const list = await rig.ask('list', 'sys/latchkey/secret-ids', { mount: 'auth/approle/', role: 'Web' })
  t.match(list.data, { keys: [accessor], key_info: { [accessor]: { role_name: 'web', last_used_from: '10.0.0.3' } } })
  t.match(await rig.ask('list', 'sys/latchkey/secret-ids', { mount: 'approle' }), invalid('missing role'))
  t.match(await rig.ask('list', 'sys/latchkey/secret-ids', { mount: 'none', role: 'web' }), { as: 'not_found' })
  t.match(await rig.ask('read', 'sys/latchkey/secret-ids/none'), { as: 'not_found' })
  await rig.ask('write', `${at}/web/secret-id/destroy`, { secret_id: secretId })
  t.match(await rig.ask('read', path), { as: 'not_found' })
})
