import t from 'tap'
import { placesOf } from '../../src/leases/places.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createRig, mountAt } from './rig.ts'

const all = { after: '', limit: 0 }

t.test('leases are listed by segments, folders with a slash, in order', async (t) => {
  const mounts = [mountAt('team/aws'), mountAt('team/empty'), mountAt('aws'), mountAt('approle', { table: 'auth', type: 'approle' })]
  const rig = createRig({ store: createMemoryStore(), mounts })
  const list = async (prefix: string) => (await rig.leases.list(prefix, all)).keys
  t.strictSame(await list(''), [])
  const token = await rig.token()
  const ids = [
    await rig.vend(token, { path: 'team/aws/sts/a' }),
    await rig.vend(token, { path: 'team/aws/sts/a' }),
    await rig.vend(token, { path: 'team/aws/creds/b' }),
    await rig.vend(token, { path: 'aws/sts/c' })
  ]
  t.strictSame(await list(''), ['auth/', 'aws/', 'team/'])
  t.strictSame(await list('team'), ['aws/'])
  t.strictSame(await list('team/'), ['aws/'])
  t.strictSame(await list('team/aws'), ['creds/', 'sts/'])
  t.strictSame(await list('team/aws/sts/a'), ids.slice(0, 2).map((id) => id.slice(id.lastIndexOf('/') + 1)).sort())
  t.strictSame(await list('team/aw'), [])
  t.strictSame(await list('aws/sts/c/nothing'), [])
  t.strictSame(await list('auth/approle'), ['login/'])
  t.strictSame(await list('auth/approle/login'), [token.accessor])
})

t.test('a list can be taken in parts', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const token = await rig.token()
  await Promise.all(Array.from({ length: 25 }, () => rig.vend(token)))
  const whole = await rig.leases.list('aws/sts/deploy', all)
  t.equal(whole.keys.length, 25)
  t.equal(whole.more, false)
  const parts: string[] = []
  for (let after = ''; ;) {
    const { keys, more } = await rig.leases.list('aws/sts/deploy', { after, limit: 10 })
    parts.push(...keys)
    after = keys.at(-1) ?? ''
    if (!more) break
  }
  t.strictSame(parts, whole.keys)
})

t.test('the lease of a token is found by its path and accessor, until the token dies', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const token = await rig.token({ ttlSeconds: 600 })
  const id = `auth/approle/login/${token.accessor}`
  t.match(await rig.leases.lookUp(id), { id, path: 'auth/approle/login', ttlSeconds: 600, renewable: true })
  t.strictSame(await rig.leases.ownership(id), { path: 'auth/approle/login', lineage: [token.accessor] })
  t.strictSame(await rig.leases.revoke(id), { diesAtMs: null, failures: [] })
  t.equal(await rig.tokens.findByAccessor(token.accessor, rig.clock.now()), null)
  t.equal(await rig.leases.lookUp(id), null)
  t.strictSame((await rig.leases.list('auth/approle/login', all)).keys, [])
})

t.test('sessions are found by run, role, lease and token, in pages', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const [one, two] = [await rig.token({ runId: 'org/stack/1' }), await rig.token({ runId: 'org/stack/10' })]
  const ids = [
    await rig.vend(one, { path: 'aws/sts/a' }), await rig.vend(one, { path: 'aws/sts/b' }), await rig.vend(two, { path: 'aws/sts/a' })
  ]
  await rig.leases.revoke(ids[1] ?? '')
  const found = async (filter: Parameters<typeof rig.sessionsOf>[0]) =>
    (await rig.sessionsOf(filter)).map(({ leaseId }) => leaseId).sort()
  t.strictSame(await found({}), [...ids].sort())
  t.strictSame(await found({ run: 'org/stack/1' }), ids.slice(0, 2).sort())
  t.strictSame(await found({ run: 'org/stack' }), [])
  t.strictSame(await found({ role: 'a' }), [ids[0], ids[2]].sort())
  t.strictSame(await found({ tokenAccessor: two.accessor }), [ids[2]])
  t.strictSame(await found({ lease: ids[1], role: 'b' }), [ids[1]])
  t.strictSame(await found({ lease: 'aws/sts/a/unknown' }), [])
  t.strictSame(await found({ tokenAccessor: '../../x' }), [])
  const first = await rig.leases.sessions({}, { after: '', limit: 2 })
  t.equal(first.sessions.length, 2)
  const rest = await rig.leases.sessions({}, { after: first.next ?? '', limit: 2 })
  t.equal(rest.next, null)
  t.strictSame([...first.sessions, ...rest.sessions].map(({ leaseId }) => leaseId).sort(), [...ids].sort())
})

t.test('a place is a mount, a part of one, or several', async (t) => {
  const mounts = { all: () => [mountAt('aws'), mountAt('aws-2'), mountAt('approle', { table: 'auth', type: 'approle' })] }
  t.strictSame(placesOf(mounts, 'aws').map(({ names }) => names), ['lease/aws_aws/'])
  t.strictSame(placesOf(mounts, 'aws/sts/').map(({ names }) => names), ['lease/aws_aws/sts/'])
  t.strictSame(placesOf(mounts, 'auth').map(({ names }) => names), ['token/approle_approle/'])
  t.strictSame(placesOf(mounts, 'approle'), [])
})
