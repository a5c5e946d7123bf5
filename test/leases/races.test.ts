import t from 'tap'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createRig, fakeEngine, stores } from './rig.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))
const isDenied = (error: unknown) => error instanceof Error && error.message === 'permission denied'

for (const [kind, openStore] of Object.entries(stores)) {
  // A look before the write would let some through; the condition in the write lets none.
  t.test(`${kind}: a token revoked while 16 writers make leases under it leaves none behind`, async (t) => {
    const rig = createRig({ store: openStore(t) })
    let handedOut = 0
    let refused = 0
    for (let round = 0; round < 25; round++) {
      const token = await rig.token()
      const child = await rig.token({ parent: token })
      const work = Array.from({ length: 16 }, async (_, n) => {
        for (let i = 0; i < 4; i++) {
          await turn()
          try {
            await rig.vend(n % 2 === 0 ? token : child)
            handedOut += 1
          } catch (error) {
            if (!isDenied(error)) throw error
            refused += 1
          }
        }
      })
      // At another moment in each round: a store may write what some turns brought together.
      for (let turns = 0; turns < 2 + round % 12; turns++) await turn()
      await rig.ending.revoke(token.accessor, rig.clock.now())
      await Promise.all(work)
    }
    await rig.sweep()
    t.ok(handedOut > 0 && refused > 0, `${handedOut} were handed out, ${refused} refused`)
    t.strictSame(await rig.store.list('lease/', { limit: 1 }), [], 'no lease is left')
    t.strictSame(await rig.store.list('lease-of/', { limit: 1 }), [])
    t.strictSame((await rig.sessionsOf()).filter(({ state }) => state !== 'revoked' && state !== 'orphan'), [])
    t.strictSame(rig.errors, [])
  })

  t.test(`${kind}: two brokers sweep the same leases, each is ended once`, async (t) => {
    const one = createRig({ store: openStore(t), engine: fakeEngine('revoked') })
    const two = createRig({ store: one.store, clock: one.clock, engine: one.engine })
    const token = await one.token()
    const terms = { renewable: true, ttlSeconds: 600, ttlSecondsMax: 600 }
    await Promise.all(Array.from({ length: 400 }, () => one.vend(token, terms)))
    one.clock.advance(600)
    await Promise.all([one.sweep(), two.sweep()])
    t.equal(one.engine.revoked.length, 400)
    t.strictSame(await one.store.list('lease/', { limit: 1 }), [])
  })

  t.test(`${kind}: a revocation by hand, the token's end and the sweep at once end a lease and fail nowhere`, async (t) => {
    const rig = createRig({ store: openStore(t) })
    for (let round = 0; round < 20; round++) {
      const token = await rig.token()
      const ids = await Promise.all(Array.from({ length: 5 }, () => rig.vend(token)))
      await Promise.all([
        ...ids.map((id) => rig.leases.revoke(id)),
        rig.leases.revokePrefix('aws/sts/deploy', 'revoke'),
        rig.leases.endOf(token.accessor),
        rig.sweep()
      ])
    }
    t.strictSame(await rig.store.list('lease/', { limit: 1 }), [])
    t.equal((await rig.sessionsOf()).length, 100)
    t.strictSame(rig.errors, [])
  })
}

t.test('1,000 callers at once: no two leases share a record (SEC-169)', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const token = await rig.token()
  const ids = await Promise.all(Array.from({ length: 1000 }, () => rig.vend(token)))
  t.equal(new Set(ids).size, 1000)
  t.equal(new Set((await rig.sessionsOf()).map(({ sessionName }) => sessionName)).size, 1000)
})
