import t from 'tap'
import type { JsonObject } from '../../../src/core/json.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { sealed } from '../../store/sealed.ts'
import { createRig } from './rig.ts'

const defaults = {
  bind_secret_id: true,
  local_secret_ids: false,
  secret_id_bound_cidrs: null,
  secret_id_num_uses: 0,
  secret_id_ttl: 0,
  token_bound_cidrs: [],
  token_explicit_max_ttl: 0,
  token_max_ttl: 0,
  token_no_default_policy: false,
  token_num_uses: 0,
  token_period: 0,
  token_policies: [],
  token_strictly_bind_ip: false,
  token_ttl: 0,
  token_type: 'default'
}
const invalid = (error: string | RegExp) => ({ as: 'invalid_request', error })

t.test('a role made of nothing reads back all defaults and no role_id (2.1, 2.2)', async (t) => {
  const rig = createRig()
  t.match(await rig.ask('write', 'auth/approle/role/plain'), { as: 'empty' })
  t.strictSame((await rig.ask('read', 'auth/approle/role/plain')).data, defaults)
})

t.test('an update changes what it names and nothing else', async (t) => {
  const rig = createRig()
  const role = 'auth/approle/role/web'
  await rig.ask('write', role, { token_policies: 'Web, b', secret_id_num_uses: '7', secret_id_ttl: '1h', token_bound_cidrs: '127.0.0.1/32' })
  await rig.ask('write', role, { token_ttl: '30m', token_policies: null })
  t.strictSame((await rig.ask('read', role)).data, {
    ...defaults,
    token_policies: ['Web', 'b'],
    secret_id_num_uses: 7,
    secret_id_ttl: 3600,
    token_bound_cidrs: ['127.0.0.1'],
    token_ttl: 1800
  })
})

t.test('SEC-059 names are one whatever their case, and padded ones are no path', async (t) => {
  const rig = createRig()
  await rig.ask('write', 'auth/approle/role/MyRole', { token_ttl: 5 })
  t.match((await rig.ask('read', 'auth/approle/role/myrole')).data, { token_ttl: 5 })
  t.match((await rig.ask('read', 'auth/approle/role/MYROLE')).data, { token_ttl: 5 })
  t.strictSame((await rig.ask('list', 'auth/approle/role')).data, { keys: ['myrole'] })
  for (const name of ['myrole ', ' myrole', 'my role', 'dash-', '-dash', 'r1\u200b', 'rôle', 'x'.repeat(1025)]) {
    t.match(await rig.ask('write', `auth/approle/role/${name}`), { as: 'not_found', error: 'unsupported path' }, name.slice(0, 12))
  }
  t.match(await rig.ask('write', 'auth/approle/role/a.b-c_d'), { as: 'empty' })
})

t.test('a role write refuses what cannot be meant (2.1)', async (t) => {
  const rig = createRig()
  const refusals: [JsonObject, string | RegExp][] = [
    [{ secret_id_bound_cidrs: ['300.0.0.0/8'] }, 'failed to validate CIDR blocks: invalid CIDR address: 300.0.0.0/8'],
    [{ secret_id_num_uses: -1 }, 'secret_id_num_uses cannot be negative'],
    [{ secret_id_num_uses: 2 ** 31 }, /cannot be greater than/],
    [{ role_id: '' }, 'invalid role_id supplied, or failed to generate a role_id'],
    [{ role_id: ' x' }, 'invalid role_id supplied, or failed to generate a role_id'],
    [{ token_ttl: '2h', token_max_ttl: '1h' }, '\'token_ttl\' cannot be greater than \'token_max_ttl\''],
    [{ token_period: -5 }, 'error converting input for field "token_period": cannot provide negative value \'-5\''],
    [{ token_num_uses: -1 }, '\'token_num_uses\' cannot be negative'],
    [{ token_type: 'weird' }, 'invalid \'token_type\' value "weird"'],
    [{ token_type: 'batch' }, 'invalid \'token_type\' value "batch"'],
    [{ token_type: 'default-batch' }, 'invalid \'token_type\' value "default-batch"'],
    [{ token_strictly_bind_ip: true, token_bound_cidrs: ['127.0.0.1'] },
      '\'token_strictly_bind_ip\' conflicts with \'token_bound_cidrs\'; set only one'],
    [{ token_bound_cidrs: ['nonsense'] }, /^error parsing address "nonsense": ./],
    [{ token_ttl: 'soon' }, /^error converting input for field "token_ttl": ./]
  ]
  for (const [data, error] of refusals) {
    t.match(await rig.ask('write', 'auth/approle/role/bad', data), invalid(error), JSON.stringify(data))
  }
  t.match(await rig.ask('read', 'auth/approle/role/bad'), { as: 'not_found' }, 'nothing of it was kept')
})

t.test('SEC-071 a role without any constraint is refused, by whatever path it would come about', async (t) => {
  const rig = createRig()
  const constraint = invalid('at least one constraint should be enabled on the role')
  t.match(await rig.ask('write', 'auth/approle/role/web', { bind_secret_id: false }), constraint)
  await rig.role('web', { bind_secret_id: false, secret_id_bound_cidrs: '10.0.0.0/8' })
  t.match(await rig.ask('delete', 'auth/approle/role/web/secret-id-bound-cidrs'), constraint)
  t.match(await rig.ask('delete', 'auth/approle/role/web/bound-cidr-list'), constraint)
  t.match(await rig.ask('write', 'auth/approle/role/web', { bound_cidr_list: '' }), constraint)
  await rig.role('plain')
  t.match(await rig.ask('write', 'auth/approle/role/plain/bind-secret-id', { bind_secret_id: false }), constraint)
})

t.test('warnings come with the write that raised them', async (t) => {
  const rig = createRig({ ttlSecondsMax: 3600 })
  t.strictSame((await rig.ask('write', 'auth/approle/role/a', { token_max_ttl: '2h', bogus: 1 })).warnings, [
    'token_max_ttl is greater than the backend mount\'s maximum TTL value; issued tokens\' max TTL value will be truncated',
    'Endpoint ignored these unrecognized parameters: [bogus]'
  ])
  t.strictSame((await rig.ask('write', 'auth/approle/role/b', { token_type: 'default-service' })).warnings,
    ['default-service has no useful meaning; adjusting to service'])
  t.match((await rig.ask('read', 'auth/approle/role/b')).data, { token_type: 'service' })
})

t.test('SEC-058 a role_id is one role\'s, and a lost claim changes nothing', async (t) => {
  const rig = createRig()
  const r1 = await rig.role('r1', { role_id: 'mine' })
  const r2 = await rig.role('r2')
  const inUse = invalid('role_id already in use')
  t.match(await rig.ask('write', 'auth/approle/role/r2/role-id', { role_id: r1 }), inUse)
  t.match(await rig.ask('write', 'auth/approle/role/r3', { role_id: r1 }), inUse)
  t.match(await rig.ask('read', 'auth/approle/role/r3'), { as: 'not_found' })
  const first = await rig.secretId('r1')
  const second = await rig.secretId('r2')
  t.match(await rig.login(r1, first.secretId), { as: 'ok', auth: { metadata: { role_name: 'r1' } } })
  t.match(await rig.login(r2, second.secretId), { as: 'ok', auth: { metadata: { role_name: 'r2' } } })
  t.match(await rig.ask('write', 'auth/approle/role/r1/role-id', { role_id: 'new' }), { as: 'empty' })
  t.match(await rig.login(r1, first.secretId), { as: 'invalid_request' }, 'the former role_id leads nowhere')
  t.match(await rig.login('new', first.secretId), { as: 'ok' })
  t.match(await rig.ask('write', 'auth/approle/role/r2', { role_id: r1 }), { as: 'empty' }, 'and is free')
})

t.test('local_secret_ids is chosen when the role is made', async (t) => {
  const rig = createRig()
  await rig.role('loc', { local_secret_ids: true })
  t.match((await rig.ask('read', 'auth/approle/role/loc/local-secret-ids')).data, { local_secret_ids: true })
  t.match(await rig.ask('write', 'auth/approle/role/loc', { local_secret_ids: false }),
    invalid('local_secret_ids can only be modified during role creation'))
  t.match(await rig.ask('write', 'auth/approle/role/loc', { local_secret_ids: true, token_ttl: 5 }), { as: 'empty' })
  t.match(await rig.ask('write', 'auth/approle/role/loc/local-secret-ids', {}), { as: 'unsupported_operation' })
})

t.test('roles are listed in order, after a name and up to a limit', async (t) => {
  const rig = createRig()
  t.match(await rig.ask('list', 'auth/approle/role'), { as: 'not_found', error: '' })
  for (const name of ['c', 'a', 'b', 'd']) await rig.role(name)
  t.strictSame((await rig.ask('list', 'auth/approle/role')).data, { keys: ['a', 'b', 'c', 'd'] })
  t.strictSame((await rig.ask('list', 'auth/approle/role', { limit: 2 })).data, { keys: ['a', 'b'] })
  t.strictSame((await rig.ask('list', 'auth/approle/role', { after: 'b' })).data, { keys: ['c', 'd'] })
})

interface FieldCase {
  readonly path: string
  readonly given: JsonObject
  readonly shown: JsonObject
  readonly reset: JsonObject
  /** null: a write without the parameter changes nothing. */
  readonly missing: string | null
}

const fieldCases: readonly FieldCase[] = [
  {
    path: 'policies',
    given: { token_policies: ['B', 'a'] },
    shown: { token_policies: ['a', 'b'] },
    reset: { token_policies: [] },
    missing: 'missing token_policies'
  },
  {
    path: 'bound-cidr-list',
    given: { bound_cidr_list: '10.0.0.0/8' },
    shown: { bound_cidr_list: ['10.0.0.0/8'] },
    reset: { bound_cidr_list: null },
    missing: null
  },
  {
    path: 'secret-id-bound-cidrs',
    given: { secret_id_bound_cidrs: ['10.0.0.0/8'] },
    shown: { secret_id_bound_cidrs: ['10.0.0.0/8'] },
    reset: { secret_id_bound_cidrs: null },
    missing: null
  },
  {
    path: 'token-bound-cidrs',
    given: { token_bound_cidrs: ['10.1.2.3/32'] },
    shown: { token_bound_cidrs: ['10.1.2.3'] },
    reset: { token_bound_cidrs: null },
    missing: null
  },
  {
    path: 'secret-id-num-uses',
    given: { secret_id_num_uses: 5 },
    shown: { secret_id_num_uses: 5 },
    reset: { secret_id_num_uses: 0 },
    missing: 'missing secret_id_num_uses'
  },
  {
    path: 'secret-id-ttl',
    given: { secret_id_ttl: '10m' },
    shown: { secret_id_ttl: 600 },
    reset: { secret_id_ttl: 0 },
    missing: 'missing secret_id_ttl'
  },
  {
    path: 'period',
    given: { period: '10m' },
    shown: { token_period: 600, period: 600 },
    reset: { token_period: 0 },
    missing: 'missing period'
  },
  {
    path: 'token-num-uses',
    given: { token_num_uses: 4 },
    shown: { token_num_uses: 4 },
    reset: { token_num_uses: 0 },
    missing: 'missing token_num_uses'
  },
  { path: 'token-ttl', given: { token_ttl: 60 }, shown: { token_ttl: 60 }, reset: { token_ttl: 0 }, missing: 'missing token_ttl' },
  {
    path: 'token-max-ttl',
    given: { token_max_ttl: 60 },
    shown: { token_max_ttl: 60 },
    reset: { token_max_ttl: 0 },
    missing: 'missing token_max_ttl'
  }
]

for (const { path, given, shown, reset, missing } of fieldCases) {
  t.test(`role/<name>/${path} reads, writes and resets one parameter (2.2)`, async (t) => {
    const rig = createRig()
    await rig.role('web')
    const at = `auth/approle/role/web/${path}`
    t.strictSame((await rig.ask('read', at)).data, reset)
    t.match(await rig.ask('write', at, given), { as: 'empty' })
    t.strictSame((await rig.ask('read', at)).data, shown)
    t.match(await rig.ask('write', at, {}), missing === null ? { as: 'empty' } : invalid(missing))
    t.strictSame((await rig.ask('read', at)).data, shown)
    t.match(await rig.ask('delete', at), { as: 'empty' })
    t.strictSame((await rig.ask('read', at)).data, reset)
    t.match(await rig.ask('read', `auth/approle/role/none/${path}`), { as: 'not_found', error: '' })
    t.match(await rig.ask('write', `auth/approle/role/none/${path}`, given), { as: 'not_found', error: 'unsupported path' })
    t.match(await rig.ask('delete', `auth/approle/role/none/${path}`), { as: 'empty' })
  })
}

t.test('the deprecated path of the bound CIDRs says so', async (t) => {
  const rig = createRig()
  await rig.role('web')
  t.strictSame((await rig.ask('read', 'auth/approle/role/web/bound-cidr-list')).warnings,
    ['The "bound_cidr_list" field is deprecated and will be removed. Please use "secret_id_bound_cidrs" instead.'])
})

t.test('TTLs set one by one hold to each other', async (t) => {
  const rig = createRig()
  await rig.role('web', { token_ttl: '30m', token_max_ttl: '1h' })
  t.match(await rig.ask('write', 'auth/approle/role/web/token-ttl', { token_ttl: '2h' }),
    invalid('token_ttl should not be greater than token_max_ttl'))
  t.match(await rig.ask('write', 'auth/approle/role/web/token-max-ttl', { token_max_ttl: '10m' }),
    invalid('token_max_ttl should be greater than or equal to token_ttl'))
})

t.test('changes of one role at once are all kept, over two brokers', async (t) => {
  const store = sealed(createMemoryStore())
  const brokers = [createRig({ store }), createRig({ store })]
  await brokers[0]?.role('web')
  const changes: JsonObject[] = [{ token_ttl: 5 }, { token_max_ttl: 50 }, { secret_id_ttl: 7 }, { token_policies: 'p' }]
  const answers = await Promise.all(changes.map((data, i) => brokers[i % 2]?.ask('write', 'auth/approle/role/web', data)))
  t.match(answers, changes.map(() => ({ as: 'empty' })))
  t.match((await brokers[1]?.ask('read', 'auth/approle/role/web'))?.data,
    { token_ttl: 5, token_max_ttl: 50, secret_id_ttl: 7, token_policies: ['p'] })
})

t.test('one role_id claimed by many at once becomes one role\'s', async (t) => {
  const store = sealed(createMemoryStore())
  const brokers = [createRig({ store }), createRig({ store })]
  const names = Array.from({ length: 20 }, (_, i) => `r${i}`)
  const answers = await Promise.all(names.map((name, i) =>
    brokers[i % 2]?.ask('write', `auth/approle/role/${name}`, { role_id: 'wanted' })))
  t.equal(answers.filter((answer) => answer?.as === 'empty').length, 1)
  t.equal(answers.filter((answer) => answer?.error === 'role_id already in use').length, 19)
  t.match((await brokers[0]?.ask('list', 'auth/approle/role'))?.data, { keys: [String] })
})
