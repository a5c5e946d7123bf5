import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { openRedisStore } from '../../src/store/redis.ts'
import { command, freePort, startRedis, until } from '../helpers/redis.ts'

t.test('a Sentinel leads to the primary, whichever it is (FLT-029)', async (t) => {
  const first = await startRedis(t)
  const second = await startRedis(t, { replicaof: ['127.0.0.1', String(first.port)] })
  const port = await freePort()
  const file = path.join(first.folder, 'sentinel.conf')
  writeFileSync(file, [
    `port ${port}`, 'bind 127.0.0.1', `dir ${first.folder}`,
    `sentinel monitor main 127.0.0.1 ${first.port} 1`, 'sentinel down-after-milliseconds main 500'
  ].join('\n'))
  const sentinel = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' })
  t.teardown(async () => {
    const ended = once(sentinel, 'exit')
    sentinel.kill('SIGKILL')
    await ended
  })
  await until('the Sentinel knows the replica', async () => {
    const answer = await command(port, 'SENTINEL REPLICAS main').catch(() => '')
    return answer.includes(String(second.port))
  }, 30_000)

  const store = await openRedisStore({ url: `redis+sentinel://127.0.0.1:${port}/main` })
  t.teardown(() => store.close())
  await store.commit([{ op: 'put', key: '00:a', value: Buffer.from('a') }])
  await until('the replica has it', async () => (await command(second.port, 'DBSIZE')).startsWith(':2'))
  await command(port, 'SENTINEL FAILOVER main')
  let turn = 0
  await until('the new primary takes writes', async () => {
    try {
      await store.commit([{ op: 'put', key: `00:b/${turn++}`, value: Buffer.from('b') }])
      return (await command(second.port, 'ROLE')).includes('master')
    } catch {
      return false
    }
  }, 30_000)
  const [entry] = await store.get(['00:a'])
  t.equal(Buffer.from(entry?.value ?? []).toString(), 'a')
})
