import t from 'tap'
import { createGate } from '../../src/broker/gate.ts'
import { createOperationTable } from '../../src/broker/operation-table.ts'
import type { Verb } from '../../src/core/backend.ts'
import type { JsonObject } from '../../src/core/json.ts'
import { requestPrefix, type Token } from '../../src/core/model.ts'
import { createMountStore } from '../../src/mounts/mount-store.ts'
import { createAcl, rootAcl } from '../../src/policies/acl.ts'
import { parsePolicy } from '../../src/policies/parse.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createLeaseOperations } from '../../src/system/leases.ts'
import { createSessionOperations } from '../../src/system/sessions.ts'
import { createRig, fakeEngine, mountAt } from '../leases/rig.ts'

const denied = { code: 'permission_denied', message: 'permission denied' }
const policies: Readonly<Record<string, string>> = {
  default: 'path "sys/leases/lookup" { capabilities = ["update"] } path "sys/leases/renew" { capabilities = ["update"] }',
  user: 'path "aws/sts/*" { capabilities = ["read"] }',
  revoker: 'path "sys/leases/*" { capabilities = ["update", "list"] } path "sys/revoke*" { capabilities = ["update"] } path "sys/renew*" { capabilities = ["update"] }',
  operator: 'path "sys/leases/*" { capabilities = ["update", "list", "sudo"] } path "sys/leases" { capabilities = ["read", "sudo"] }'
}

/** The lease endpoints behind the real gate, with real tokens and policies. */
function createDoor (rig = createRig({ store: createMemoryStore() })) {
  const sys = mountAt('sys', { type: 'system' })
  const aclFor = (names: readonly string[]) => names.includes('root')
    ? rootAcl
    : createAcl(names.map((name) => ({ name, rules: parsePolicy(policies[name] ?? '') })), rig.clock.now())
  const { leases } = rig
  const operations = [...createLeaseOperations({ leases, aclFor }), ...createSessionOperations({ leases })]
  const backend = { type: 'system', description: '', operations }
  const registered = { backend, table: createOperationTable(operations) }
  const gate = createGate({
    mounts: {
      resolve: (path) => path.startsWith('sys/') ? { mount: sys, rest: path.slice(requestPrefix(sys).length), reached: { by: 'stable', slot: 0 } } : null,
      ttlBounds: () => ({ ttlSecondsDefault: 1, ttlSecondsMax: 1 }),
      storeOf: (mount) => createMountStore(rig.store, mount.accessor)
    },
    backends: () => registered,
    tokens: rig.tokens,
    aclFor,
    revision: { freshen: () => undefined }
  })
  async function ask (token: Token | null, verb: Verb, path: string, data: JsonObject = {}) {
    const verdict = await gate.admit({
      id: 'r',
      receivedAtMs: rig.clock.now(),
      verb,
      head: false,
      path,
      clientToken: token === null ? null : rig.textOf(token),
      data,
      bodyText: null, accept: '', ifNoneMatch: '',
      remoteAddress: '127.0.0.1',
      remotePort: 1,
      socketAddress: '127.0.0.1',
      wrapTtlSeconds: null,
      refusal: null
    }, rig.clock.now())
    if (verdict.denial !== null) throw verdict.denial
    return verdict.work?.run()
  }
  return { rig, ask }
}

const invalid = (message: string) => ({ code: 'invalid_request', message })

t.test('lookup tells what a client may know, and never a secret (5.8, SEC-171)', async (t) => {
  const { rig, ask } = createDoor()
  const token = await rig.token()
  const id = await rig.vend(token)
  rig.clock.advance(0.5)
  t.strictSame(await ask(token, 'write', 'sys/leases/lookup', { lease_id: id }), {
    kind: 'data',
    data: {
      id,
      issue_time: '2026-01-01T12:00:00.000000000Z',
      expire_time: '2026-01-01T13:00:00.000000000Z',
      last_renewal: null,
      renewable: false,
      ttl: 3600,
      path: 'aws/sts/deploy'
    }
  })
  await t.rejects(ask(token, 'write', 'sys/leases/lookup'), invalid('lease_id must be specified'))
  await t.rejects(ask(token, 'write', 'sys/leases/lookup', { lease_id: 'none/such' }), invalid('invalid lease'))
})

t.test('no lease endpoint does anything without a token (SEC-173)', async (t) => {
  const { rig, ask } = createDoor()
  const id = await rig.vend(await rig.token())
  for (const path of ['leases/lookup', 'leases/renew', 'leases/revoke', 'renew', 'revoke', `leases/revoke/${id}`, `revoke/${id}`, 'leases/revoke-prefix/aws', 'revoke-force/aws', 'leases/tidy']) {
    await t.rejects(ask(null, 'write', `sys/${path}`, { lease_id: id }), denied, path)
  }
  await t.rejects(ask(null, 'read', 'sys/latchkey/sessions'), denied)
  t.ok(await rig.leases.lookUp(id))
})

t.test('revoke and renew of somebody else\'s lease need a right on its path, or sudo (SEC-151)', async (t) => {
  for (const [form, data] of [['leases/revoke', true], ['leases/revoke/', false], ['revoke', true], ['revoke/', false]] as const) {
    const { rig, ask } = createDoor()
    const owner = await rig.token({ policies: ['user'] })
    const id = await rig.vend(owner)
    const attempt = (token: Token) => data ? ask(token, 'write', `sys/${form}`, { lease_id: id }) : ask(token, 'write', `sys/${form}${id}`)
    await t.rejects(attempt(await rig.token({ policies: ['default'] })), denied, `${form}: not without its own capability`)
    await t.rejects(attempt(await rig.token({ policies: ['revoker'] })), denied, `${form}: not with it alone`)
    t.ok(await rig.leases.lookUp(id))
    await attempt(await rig.token({ policies: ['revoker', 'user'] }))
    t.equal(await rig.leases.lookUp(id), null, `${form}: whoever may make such leases may`)
  }
  const { rig, ask } = createDoor()
  const parent = await rig.token({ policies: ['revoker'] })
  const child = await rig.token({ parent, policies: ['user'] })
  const [own, below, other] = [await rig.vend(parent), await rig.vend(child), await rig.vend(await rig.token())]
  t.match(await ask(parent, 'write', 'sys/leases/revoke', { lease_id: own }), { kind: 'none' })
  t.match(await ask(parent, 'write', 'sys/leases/revoke', { lease_id: below, sync: false }), { kind: 'accepted' }, 'of a descendant')
  await t.rejects(ask(parent, 'write', 'sys/leases/revoke', { lease_id: other, sync: false }), denied)
  for (const path of ['sys/leases/renew', 'sys/renew', `sys/leases/renew/${other}`, `sys/renew/${other}`]) {
    await t.rejects(ask(parent, 'write', path, { lease_id: other }), denied, path)
  }
  const operator = await rig.token({ policies: ['operator'] })
  await ask(operator, 'write', 'sys/leases/revoke', { lease_id: other })
  t.equal(await rig.leases.lookUp(other), null, 'sudo suffices')
})

t.test('the lease of somebody else\'s token is not revoked either', async (t) => {
  const { rig, ask } = createDoor()
  const victim = await rig.token()
  const child = await rig.token({ parent: victim })
  const id = `auth/approle/login/${victim.accessor}`
  await t.rejects(ask(await rig.token({ policies: ['revoker', 'user'] }), 'write', 'sys/leases/revoke', { lease_id: id }), denied)
  await t.rejects(ask(child, 'write', 'sys/leases/renew', { lease_id: id }), denied, 'nor by its own child')
  await t.rejects(ask(victim, 'write', 'sys/leases/renew', { lease_id: id }), invalid('tokens cannot be renewed through this endpoint'))
  const operator = await rig.token({ policies: ['operator'] })
  await ask(operator, 'write', 'sys/leases/revoke', { lease_id: id })
  await t.rejects(ask(victim, 'write', 'sys/leases/lookup', { lease_id: id }), denied)
})

t.test('the answer to a revocation of STS credentials says how long they live (SEC-149)', async (t) => {
  const { rig, ask } = createDoor()
  const root = await rig.token({ policies: ['root'] })
  const id = await rig.vend(root)
  const said = { kind: 'none', headers: { 'X-Latchkey-Session-Dies-At': '2026-01-01T13:00:00.000000000Z' } }
  t.strictSame(await ask(root, 'write', 'sys/leases/revoke', { lease_id: id }), said)
  t.strictSame(await ask(root, 'write', 'sys/leases/revoke', { lease_id: id }), said, 'again')
  await rig.vend(root)
  t.strictSame(await ask(root, 'write', 'sys/leases/revoke-prefix/aws/sts'), said)
  await rig.vend(root)
  t.strictSame(await ask(root, 'write', 'sys/leases/revoke-force/aws/sts'), said)
  t.strictSame(await ask(root, 'write', 'sys/leases/revoke', { lease_id: 'none/such' }), { kind: 'none' })
  t.strictSame(await ask(root, 'write', 'sys/leases/revoke', { lease_id: 'none/such', sync: false }), { kind: 'accepted' })
  await t.rejects(ask(root, 'write', 'sys/leases/revoke'), invalid('lease_id must be specified'))
})

t.test('a failing engine fails the answer, once, and the lease stays in the sweep\'s hands', async (t) => {
  const { rig, ask } = createDoor(createRig({ store: createMemoryStore(), engine: fakeEngine('revoked') }))
  const root = await rig.token({ policies: ['root'] })
  const id = await rig.vend(root)
  rig.engine.fail(new Error('private'))
  await t.rejects(ask(root, 'write', 'sys/leases/revoke', { lease_id: id }), invalid(`failed to revoke ${id}: the engine failed; it is tried again`))
  rig.engine.fail(null)
  rig.clock.advance(13)
  await rig.sweep()
  t.equal(await rig.leases.lookUp(id), null)
})

t.test('prefixes need sudo besides update, and cover whole segments (SEC-153, SEC-154)', async (t) => {
  const { rig, ask } = createDoor()
  const owner = await rig.token()
  const [r1, r10] = [await rig.vend(owner, { path: 'aws/creds/r1' }), await rig.vend(owner, { path: 'aws/creds/r10' })]
  const revoker = await rig.token({ policies: ['revoker'] })
  for (const path of ['leases/revoke-prefix/aws', 'leases/revoke-force/aws', 'revoke-prefix/aws', 'revoke-force/aws']) {
    await t.rejects(ask(revoker, 'write', `sys/${path}`), denied, path)
  }
  const operator = await rig.token({ policies: ['operator'] })
  await t.rejects(ask(operator, 'write', 'sys/leases/revoke-prefix'), { code: 'not_found', message: 'unsupported path' }, 'no empty prefix')
  t.match(await ask(operator, 'write', 'sys/leases/revoke-prefix/aws/creds/r1', { sync: false }), { kind: 'accepted' })
  await rig.sweep()
  t.equal(await rig.leases.lookUp(r1), null)
  t.ok(await rig.leases.lookUp(r10))
})

t.test('lists need sudo and say where they end', async (t) => {
  const { rig, ask } = createDoor()
  const owner = await rig.token()
  await rig.vend(owner)
  await rig.vend(owner)
  await t.rejects(ask(await rig.token({ policies: ['revoker'] }), 'list', 'sys/leases/lookup/aws'), denied)
  const operator = await rig.token({ policies: ['operator'] })
  t.match(await ask(operator, 'list', 'sys/leases/lookup/aws'), { data: { keys: ['sts/'] } })
  t.match(await ask(operator, 'list', 'sys/leases/lookup'), { data: { keys: ['auth/', 'aws/'] } })
  const first = await ask(operator, 'list', 'sys/leases/lookup/aws/sts/deploy', { limit: 1 })
  t.match(first, { data: { keys: [String] } })
  t.match(await ask(operator, 'list', 'sys/leases/lookup/aws/creds'), { data: { keys: [] } })
})

t.test('a renewal names its lease in the envelope, the id in the body wins', async (t) => {
  const { rig, ask } = createDoor()
  const owner = await rig.token({ policies: ['revoker'] })
  const terms = { renewable: true, ttlSecondsMax: 7200 }
  const [one, two] = [await rig.vend(owner, terms), await rig.vend(owner, terms)]
  t.strictSame(await ask(owner, 'write', `sys/leases/renew/${one}`, { lease_id: two, increment: '10m' }), {
    kind: 'data', data: null, warnings: [], lease: { leaseId: two, renewable: true, leaseDurationSeconds: 600 }
  })
  t.match(await ask(owner, 'write', `sys/renew/${one}`, { increment: 60 }), { lease: { leaseId: one, leaseDurationSeconds: 60 } })
  await t.rejects(ask(owner, 'write', 'sys/leases/renew', { increment: 1 }), invalid('lease_id must be specified'))
  await t.rejects(ask(owner, 'write', 'sys/leases/renew', { lease_id: one, increment: -5 }), { code: 'invalid_request' })
})

t.test('irrevocable leases are counted by mount and listed with why (SEC-157)', async (t) => {
  const { rig, ask } = createDoor(createRig({ store: createMemoryStore(), engine: fakeEngine('revoked') }))
  const root = await rig.token({ policies: ['root'] })
  t.match(await ask(root, 'read', 'sys/leases/count', { type: 'irrevocable' }), { data: { counts: {}, lease_count: 0 } })
  const id = await rig.vend(root)
  rig.engine.fail(new Error('down'))
  await t.rejects(ask(root, 'write', 'sys/leases/revoke', { lease_id: id }))
  for (let i = 0; i < 5; i++) {
    rig.clock.advance(400)
    await rig.sweep()
  }
  t.strictSame(await ask(root, 'read', 'sys/leases/count', { type: 'irrevocable' }), { kind: 'data', data: { counts: { aws_aws: 1 }, lease_count: 1 } })
  t.match(await ask(root, 'read', 'sys/leases', { type: 'irrevocable' }), {
    data: { lease_count: 1, leases: [{ lease_id: id, mount_id: 'aws_aws', error: 'the engine failed' }] }
  })
  t.match(await ask(root, 'read', 'sys/leases/count', { type: 'other' }), { kind: 'none' })
  t.match(await ask(root, 'read', 'sys/leases'), { kind: 'none' })
  await t.rejects(ask(await rig.token({ policies: ['revoker'] }), 'read', 'sys/leases', { type: 'irrevocable' }), denied)
  t.match(await ask(root, 'write', 'sys/leases/tidy'), { kind: 'data', data: null, as: 'accepted', warnings: [/^Tidy operation successfully started/] })
})

t.test('sessions tell who holds what until when, and nothing that could be used (SEC-149, SEC-171)', async (t) => {
  const { rig, ask } = createDoor()
  const root = await rig.token({ policies: ['root'] })
  const owner = await rig.token({ runId: '01RUN' })
  const id = await rig.vend(owner)
  rig.clock.advance(1)
  await ask(root, 'write', 'sys/leases/revoke', { lease_id: id })
  const record = id.slice(id.lastIndexOf('/') + 1)
  const session = {
    id: record,
    run: '01RUN',
    role: 'deploy',
    lease_id: id,
    token_accessor: owner.accessor,
    state: 'revoked',
    reason: null,
    session_name: `run.${record.slice(-8)}`,
    access_key_id: `ASIA${record.slice(-8)}`,
    issue_time: '2026-01-01T12:00:00.000000000Z',
    revoked_time: '2026-01-01T12:00:01.000000000Z',
    revocation: 'expires_at',
    dies_at: '2026-01-01T13:00:00.000000000Z'
  }
  t.strictSame(await ask(root, 'read', 'sys/latchkey/sessions', { run: '01RUN' }), { kind: 'data', data: { sessions: [session], next: null } })
  t.strictSame(await ask(root, 'list', 'sys/latchkey/sessions', { role: 'deploy' }), {
    kind: 'data', data: { keys: [record], key_info: { [record]: session }, next: null }
  })
  t.match(await ask(root, 'read', 'sys/latchkey/sessions', { run: 'other' }), { data: { sessions: [] } })
  await t.rejects(ask(owner, 'read', 'sys/latchkey/sessions'), denied)
})
