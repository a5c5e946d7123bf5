import t, { type Test } from 'tap'
import type { Store } from '../../../src/core/store.ts'
import { createBarrier } from '../../../src/store/barrier.ts'
import { createKeyring, firstTerm } from '../../../src/store/keyring.ts'
import { openRedisStore } from '../../../src/store/redis.ts'
import { startRedis } from '../../helpers/redis.ts'
import { stores } from '../../leases/rig.ts'
import { sealed } from '../../store/sealed.ts'
import { approle, createRig, type Answer, type Rig } from './rig.ts'

/** Two brokers on one store: in one process on memory and SQLite, on two connections of a Redis. */
type TwoBrokers = (t: Test) => Promise<[Rig, Rig]>

const settings: Record<string, TwoBrokers> = Object.fromEntries(Object.entries(stores).map(([name, open]) => [
  name,
  async (t) => {
    const store = sealed(open(t))
    return [createRig({ store }), createRig({ store })]
  }
]))
settings['redis'] = async (t) => {
  const { url } = await startRedis(t)
  const keyring = createKeyring('test-cluster', [firstTerm(0)])
  async function broker (): Promise<Rig> {
    const store = await openRedisStore({ url })
    t.teardown(() => store.close())
    return createRig({ store: createBarrier({ store, keyring }) })
  }
  return [await broker(), await broker()]
}

const refused = 'invalid role or secret ID'

function tally (answers: readonly Answer[]) {
  return {
    ok: answers.filter(({ as }) => as === 'ok').length,
    refused: answers.filter(({ error }) => error === refused).length
  }
}

async function countOf (store: Store, prefix: string): Promise<number> {
  let count = 0
  for (let after: string | undefined; ;) {
    const page = await store.list(prefix, { limit: 1000, ...after !== undefined && { after } })
    count += page.length
    after = page.at(-1)?.name
    if (page.length < 1000) return count
  }
}

for (const [name, open] of Object.entries(settings)) {
  t.test(`SEC-052 of 200 logins at once over two brokers exactly as many succeed as there are uses (${name})`, async (t) => {
    for (const uses of [1, 5]) {
      const brokers = await open(t)
      const roleId = await brokers[0].role('web')
      const { secretId } = await brokers[0].secretId('web', { num_uses: uses })
      const turns = Array.from({ length: 200 }, (_, i) => brokers[i % 2 === 0 ? 0 : 1])
      const answers = await Promise.all(turns.map((broker) => broker.login(roleId, secretId)))
      t.strictSame(tally(answers), { ok: uses, refused: 200 - uses })
      const lookup = await brokers[1].ask('write', 'auth/approle/role/web/secret-id/lookup', { secret_id: secretId })
      t.equal(lookup.as, 'empty')
      brokers[0].clock.advance(5)
      await brokers[0].sweep()
      t.equal(await countOf(brokers[0].store, 'secret-of/'), 0, 'the record is gone')
      t.strictSame(brokers[0].errors, [])
    }
  })

  t.test(`a deleted role gives no token after its deletion was answered, however many logins are under way (${name})`, async (t) => {
    const brokers = await open(t)
    const roleId = await brokers[0].role('web')
    const secrets = [await brokers[0].secretId('web'), await brokers[0].secretId('web', { num_uses: 1000 })]
    const logins: Promise<Answer>[] = []
    const send = (count: number) => {
      for (let i = 0; i < count; i++) {
        logins.push(brokers[i % 2 === 0 ? 0 : 1].login(roleId, secrets[i % 3 === 0 ? 0 : 1]?.secretId))
      }
    }
    send(20)
    await logins[0]
    send(40)
    const deletion = brokers[0].ask('delete', 'auth/approle/role/web')
    send(40)
    t.match(await deletion, { as: 'empty' })
    const atAnswer = await countOf(brokers[0].store, `token/${approle.accessor}/login/`)
    send(40)
    const answers = await Promise.all(logins)
    t.equal(await countOf(brokers[0].store, `token/${approle.accessor}/login/`), atAnswer)
    t.equal(tally(answers).ok, atAnswer)
    t.equal(tally(answers).ok + tally(answers).refused, answers.length, 'every other one is refused like a wrong pair')
  })

  t.test(`secret_ids made while their role is deleted leave nothing behind (${name})`, async (t) => {
    const brokers = await open(t)
    const roleId = await brokers[0].role('web')
    const making = Array.from({ length: 60 }, (_, i) => brokers[i % 2 === 0 ? 0 : 1].ask('write', 'auth/approle/role/web/secret-id'))
    await making[0]
    await brokers[1].ask('delete', 'auth/approle/role/web')
    const made = await Promise.all(making)
    t.ok(made.every(({ as, error }) => as === 'ok' || error === 'role "web" does not exist'))
    t.equal(await countOf(brokers[0].store, 'secret-of/'), 0)
    for (const { data } of made) t.equal((await brokers[0].login(roleId, data['secret_id'] ?? 'none')).error, refused)
  })

  t.test(`SEC-077 tidying takes no valid secret_id from logins and creations beside it (${name})`, async (t) => {
    const brokers = await open(t)
    const [here, there] = brokers
    const roleId = await here.role('web')
    const { secretId } = await here.secretId('web')
    for (let i = 0; i < 50; i++) await here.secretId('web', { ttl: '1s' })
    here.clock.advance(2)
    there.clock.advance(2)
    let tidying = true
    const tidy = (async () => {
      let started = 0
      while (tidying) {
        const { as } = await here.ask('write', 'auth/approle/tidy/secret-id')
        if (as === 'accepted') started += 1
        await here.method.idle()
      }
      return started
    })()
    const [logins, made] = await Promise.all([
      Promise.all(Array.from({ length: 1000 }, (_, i) => brokers[i % 2 === 0 ? 0 : 1].login(roleId, secretId))),
      Promise.all(Array.from({ length: 1000 }, (_, i) => brokers[i % 2 === 0 ? 0 : 1].secretId('web', { num_uses: 2 })))
    ])
    tidying = false
    t.ok(await tidy > 0)
    t.equal(tally(logins).ok, 1000)
    t.equal(await countOf(here.store, 'secret-of/'), 1001, 'the expired ones are gone, and no other')
    const fresh = await Promise.all(made.map((one) => there.login(roleId, one.secretId)))
    t.equal(tally(fresh).ok, 1000)
    t.strictSame(here.errors, [])
  })
}
