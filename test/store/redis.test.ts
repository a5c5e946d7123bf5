import t, { type Test } from 'tap'
import type { Store } from '../../src/core/store.ts'
import { openRedisStore } from '../../src/store/redis.ts'
import { storeContract } from '../contract/store.ts'
import { command, startRedis } from '../helpers/redis.ts'
import { sealed } from './sealed.ts'

const redis = await startRedis(t)

/** Each test gets the same Redis, emptied: they run one after another. */
async function openEmpty (t: Test): Promise<Store> {
  await command(redis.port, 'FLUSHALL')
  const store = await openRedisStore({ url: redis.url, commandTimeoutMs: 5000 })
  t.teardown(() => store.close())
  return store
}

t.test('the Redis store keeps the contract', (t) => storeContract(t, openEmpty))

t.test('the Redis store behind the barrier keeps the contract', (t) => {
  storeContract(t, async (t) => sealed(await openEmpty(t)))
})
