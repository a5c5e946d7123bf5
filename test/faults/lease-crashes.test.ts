import t, { type Test } from 'tap'
import {
  createBrokerFolder, makeVendor, prepareAws, sessionsOf, startMockSts, until, type MockSts, type ShownSession
} from './fault-rig.ts'

t.setTimeout(100_000)

/** I1: every credential that STS made belongs to a record that does not end before it. */
function allKnown (t: Test, sts: MockSts, sessions: readonly ShownSession[]) {
  const ends = Map.groupBy(sessions, (session) => session.session_name)
  const unknown = sts.ledger.filter(({ sessionName, expiresAtMs }) => {
    const own = ends.get(sessionName) ?? []
    return own.length !== 1 || Date.parse(own[0]?.dies_at ?? '') < expiresAtMs
  })
  t.strictSame(unknown, [], 'one record for each credential, which does not end before it')
}

/** A vend during which the broker ends itself; answers what is found after another start. */
async function crashDuringVend (t: Test, crashAt: string) {
  const sts = await startMockSts(t)
  const folder = createBrokerFolder(t)
  const first = await folder.start({ crashAt })
  await prepareAws(first, sts)
  await t.rejects(first.ask('GET', 'cloud/sts/d'), 'nobody is answered')
  t.equal(await first.ended(), 'SIGKILL')
  return { sts, folder, second: await folder.start() }
}

const hasVended = (entries: readonly unknown[]) => entries.some((entry) => {
  const { type, request, response } = entry as { type: string, request: { path: string }, response?: unknown }
  return type === 'response' && request.path === 'cloud/sts/d' && response !== undefined
})

t.test('killed before the intent is stored: no credential was made (FLT-001)', async (t) => {
  const { sts, second } = await crashDuringVend(t, 'before-intent:1')
  t.strictSame(sts.ledger, [])
  t.strictSame(await sessionsOf(second), [])
})

t.test('killed after the intent: it becomes an orphan by the sweep and is closed at its end (FLT-002, FLT-015)', async (t) => {
  const { sts, folder, second } = await crashDuringVend(t, 'after-intent:1')
  t.strictSame(sts.ledger, [])
  t.match(await sessionsOf(second), [{ state: 'pending' }])
  await second.kill()
  const third = await folder.start({ offsetSeconds: 61 })
  t.match(await until(() => sessionsOf(third), ([session]) => session?.state === 'orphan'), [{ state: 'orphan' }])
  await third.kill()
  const fourth = await folder.start({ offsetSeconds: 3600 + 120 })
  t.strictSame(await until(() => sessionsOf(fourth), (sessions) => sessions.length === 0), [])
})

t.test('killed while STS works: the credential is found by its session name (FLT-003)', async (t) => {
  const sts = await startMockSts(t)
  const folder = createBrokerFolder(t)
  const first = await folder.start()
  await prepareAws(first, sts)
  const release = sts.hold()
  const minted = sts.minted()
  const vend = t.rejects(first.ask('GET', 'cloud/sts/d'))
  await minted
  await first.kill()
  await vend
  release()
  const second = await folder.start()
  const sessions = await sessionsOf(second)
  t.match(sessions, [{ state: 'pending' }])
  t.equal(sts.ledger.length, 1)
  allKnown(t, sts, sessions)

  const revoked = await second.ask('PUT', 'sys/leases/revoke', { body: { lease_id: sessions[0]?.lease_id ?? '' } })
  t.equal(revoked.status, 204)
  t.equal(Date.parse(revoked.headers.get('x-latchkey-session-dies-at') ?? ''), Date.parse(sessions[0]?.dies_at ?? ''))
  t.match(await sessionsOf(second), [{ state: 'revoked' }], 'it lives on, and says so (SEC-149)')
})

t.test('killed after the answer of STS, before the second write: nothing left the broker, the record is there (FLT-004, FLT-006)', async (t) => {
  const { sts, folder, second } = await crashDuringVend(t, 'before-active:1')
  const sessions = await sessionsOf(second)
  t.match(sessions, [{ state: 'pending' }])
  t.equal(sts.ledger.length, 1)
  allKnown(t, sts, sessions)
  t.ok(hasVended(folder.audit()), 'the audit entry comes before the lease is active, so no active lease is without one')
  await second.kill()
  const third = await folder.start({ offsetSeconds: 61 })
  const later = await until(() => sessionsOf(third), ([session]) => session?.state === 'orphan')
  t.match(later, [{ state: 'orphan' }])
  allKnown(t, sts, later)
})

t.test('killed between consuming and answering an unwrap: it is spent (FLT-005, SEC-135)', async (t) => {
  const folder = createBrokerFolder(t)
  const first = await folder.start({ crashAt: 'after-unwrap:1' })
  const made = await first.ask('POST', 'sys/wrapping/wrap', { body: { secret: 'canary' }, headers: { 'x-vault-wrap-ttl': '5m' } })
  const { token } = (made.body as unknown as { wrap_info: { token: string } }).wrap_info
  await t.rejects(first.ask('POST', 'sys/wrapping/unwrap', { body: { token } }))
  t.equal(await first.ended(), 'SIGKILL')
  const second = await folder.start()
  const again = await second.ask('POST', 'sys/wrapping/unwrap', { body: { token } })
  t.equal(again.status, 400)
  t.ok(folder.audit().some((entry) => (entry['request'] as { path?: string } | undefined)?.path === 'sys/wrapping/unwrap'))
})

t.test('killed after the lease is active, before the reply: audited, and listed under its token (FLT-007)', async (t) => {
  const sts = await startMockSts(t)
  const folder = createBrokerFolder(t)
  const first = await folder.start({ crashAt: 'after-active:1' })
  await prepareAws(first, sts)
  const vendor = await makeVendor(first)
  await t.rejects(first.ask('GET', 'cloud/sts/d', { token: vendor.token }))
  t.equal(await first.ended(), 'SIGKILL')
  t.ok(hasVended(folder.audit()))
  const second = await folder.start()
  const sessions = await sessionsOf(second, `&token_accessor=${vendor.accessor}`)
  t.match(sessions, [{ state: 'active', token_accessor: vendor.accessor }])
  allKnown(t, sts, sessions)
  const revoked = await second.ask('POST', 'auth/token/revoke-accessor', { body: { accessor: vendor.accessor } })
  t.equal(revoked.status, 204)
  t.match(await until(() => sessionsOf(second), ([session]) => session?.state === 'revoked'), [{ state: 'revoked' }])
})

t.test('a client that goes away leaves a lease that follows its token (FLT-008)', async (t) => {
  const sts = await startMockSts(t)
  const broker = await createBrokerFolder(t).start()
  await prepareAws(broker, sts)
  const vendor = await makeVendor(broker)
  const release = sts.hold()
  const minted = sts.minted()
  const gone = new AbortController()
  const vend = t.rejects(broker.ask('GET', 'cloud/sts/d', { token: vendor.token, signal: gone.signal }))
  await minted
  gone.abort()
  await vend
  release()
  const settled = await until(() => sessionsOf(broker), ([session]) => session?.state !== 'pending')
  t.match(settled, [{ state: /active|orphan/ }])
  allKnown(t, sts, settled)
  await broker.ask('POST', 'auth/token/revoke-accessor', { body: { accessor: vendor.accessor } })
  t.match(await until(() => sessionsOf(broker), ([session]) => session?.state === 'revoked'), [{ state: 'revoked' }])
})

t.test('killed after k of 1,000 leases of a revoked token: all are over at once, the rest is done after a start (FLT-009)', async (t) => {
  const sts = await startMockSts(t)
  const prepared = createBrokerFolder(t)
  const first = await prepared.start()
  await prepareAws(first, sts)
  const vendor = await makeVendor(first)
  await Promise.all(Array.from({ length: 10 }, async () => {
    for (let n = 0; n < 100; n++) {
      const { status } = await first.ask('GET', 'cloud/sts/d', { token: vendor.token })
      if (status !== 200) throw new Error('a vend failed')
    }
  }))
  await first.kill()

  for (const k of [0, 1, 500, 999]) {
    t.test(`k = ${k}`, async (t) => {
      const folder = createBrokerFolder(t, prepared.folder)
      const second = await folder.start({ crashAt: `lease-ended:${k}` })
      await second.ask('POST', 'auth/token/revoke-accessor', { body: { accessor: vendor.accessor } }).catch(() => {})
      t.equal(await second.ended(), 'SIGKILL')

      // A claimed record is kept from others for a minute; the clock is put forward past that.
      const third = await folder.start({ offsetSeconds: 90 })
      const sessions = await sessionsOf(third, `&token_accessor=${vendor.accessor}`)
      t.equal(sessions.length, 1000)
      t.equal((await third.ask('GET', 'auth/token/lookup-self', { token: vendor.token })).status, 403)
      const looked = await third.ask('PUT', 'sys/leases/lookup', { body: { lease_id: sessions[999]?.lease_id ?? '' } })
      t.equal(looked.status, 400)
      const ended = await until(() => sessionsOf(third), (all) => all.every(({ state }) => state === 'revoked'))
      t.equal(ended.filter(({ state }) => state === 'revoked').length, 1000)
      allKnown(t, sts, ended)
    })
  }
})
