import { spawnSync } from 'node:child_process'
import t, { type Test } from 'tap'
import type { Store } from '../../src/core/store.ts'
import { openRedisStore } from '../../src/store/redis.ts'
import { storeContract } from '../contract/store.ts'
import { command, startRedis, until, type TestRedis } from '../helpers/redis.ts'

/** Three primaries with all slots between them. */
async function startCluster (t: Test): Promise<TestRedis[]> {
  const settings = { 'cluster-enabled': 'yes', 'cluster-node-timeout': '2000', appendfsync: 'everysec' }
  const nodes: TestRedis[] = []
  for (let n = 0; n < 3; n++) nodes.push(await startRedis(t, { ...settings, 'cluster-announce-ip': '127.0.0.1' }))
  const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`)
  const made = spawnSync('redis-cli', ['--cluster', 'create', ...hosts, '--cluster-yes'],
    { encoding: 'utf8', timeout: 60_000 })
  if (made.status !== 0) throw new Error(made.stdout)
  for (const { port } of nodes) {
    await until('the cluster is whole', async () => {
      const answer = await command(port, 'CLUSTER INFO')
      return answer.includes('cluster_state:ok') && answer.includes('cluster_known_nodes:3')
    })
  }
  return nodes
}

t.test('the Redis store keeps the contract on a Cluster of three nodes (SEC-357)', async (t) => {
  const nodes = await startCluster(t)
  const url = `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`

  async function openEmpty (t: Test): Promise<Store> {
    for (const { port } of nodes) await command(port, 'FLUSHALL')
    const store = await openRedisStore({ url, commandTimeoutMs: 5000 })
    t.teardown(() => store.close())
    return store
  }

  t.test('contract', (t) => storeContract(t, openEmpty))

  t.test('the shards are spread evenly, and every node holds records', async (t) => {
    const store = await openEmpty(t)
    for (let n = 0; n < 256; n++) {
      const shard = n.toString(16).padStart(2, '0')
      await store.commit([{ op: 'put', key: `${shard}:a`, value: Buffer.alloc(1), names: ['n/a'], dueAtMs: 1 }])
    }
    const sizes: number[] = []
    for (const { port } of nodes) sizes.push(Number((await command(port, 'DBSIZE')).slice(1)))
    t.equal(sizes.reduce((sum, size) => sum + size), 256 * 4, 'record, index, due times and count of each')
    t.ok(Math.max(...sizes) - Math.min(...sizes) <= 2 * 4, sizes.join(' '))
    t.equal((await store.inspect()).sequences.get('ff'), 1)
  })

  t.test('scripts that are gone on every node come back by themselves (FLT-028)', async (t) => {
    const store = await openEmpty(t)
    for (const { port } of nodes) await command(port, 'SCRIPT FLUSH')
    const commits = ['00', '7f', 'ff', 'sys', 'm-kv_1'].map((shard) => store.commit([
      { op: 'put', key: `${shard}:a`, value: Buffer.alloc(1), expect: 'absent' },
      { op: 'put', key: `${shard}:b`, value: Buffer.alloc(1), expect: 'absent' }
    ]))
    await Promise.all(commits)
  })
})
