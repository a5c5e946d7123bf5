import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import {
  auditFaults, authOf, countByStatus, createFolder, createRole, rootToken, startAws, startBroker, textOf, wrapOf,
  type BrokerOptions, type TestBroker
} from '../helpers/broker.ts'
import { startRedis, until } from '../helpers/redis.ts'

/** What a change may take to hold on another broker. */
const boundMs = 1000

/** Two brokers of one store that start at the same moment. */
async function startTwo (t: Test, options: Partial<BrokerOptions> = {}) {
  const redis = await startRedis(t)
  const masterKeyFile = path.join(createFolder(t), 'master.key')
  writeFileSync(masterKeyFile, randomBytes(32), { mode: 0o600 })
  const emulator = await startAws(t)
  const shared = { store: redis.url, masterKeyFile, emulator, ...options }
  const [one, two] = await Promise.all([startBroker(t, shared), startBroker(t, shared)])
  return { one, two, redis, emulator, shared }
}

const look = (broker: TestBroker, token: string) => broker.ask('GET', 'auth/token/lookup-self', { token })

/** How long until something holds; asks all the time. @throws after ten seconds. */
async function measure (what: string, holds: () => Promise<boolean>): Promise<number> {
  const from = performance.now()
  await until(what, holds, 10_000)
  return performance.now() - from
}

t.test('two brokers on one Redis', async (t) => {
  const { one, two, emulator, shared } = await startTwo(t)
  const third = await startBroker(t, { ...shared, settings: { LATCHKEY_EMULATOR: 'off' } })
  const all = [one, two, third]

  t.test('SEC-233 started at once on an empty store they are one cluster', async (t) => {
    const ids = await Promise.all(all.map(async (broker) => (await broker.must('GET', 'sys/health', { token: null })).body['cluster_id']))
    t.equal(new Set(ids).size, 1)
    t.equal((await one.must('GET', 'auth/approle/role/ci/role-id')).text.includes(textOf(await two.must('GET', 'auth/approle/role/ci/role-id'), 'role_id')), true)
    const mounts = await Promise.all(all.map(async (broker) => Object.keys((await broker.must('GET', 'sys/mounts')).body.data ?? {}).sort()))
    t.strictSame(mounts[1], mounts[0])
  })

  t.test('each serves what the others made: tokens, secret_ids, leases, wrapped answers, cubbyholes', async (t) => {
    const role = await createRole(one, 'both', { token_policies: ['default', 'ci-ec2-only'] })
    const { secretId } = await role.secretId()
    const { client_token: token } = authOf(await role.login(secretId, {}, two))
    t.equal((await look(one, token)).status, 200)
    const vend = await one.must('GET', 'aws/creds/ec2-only', { token })
    const lease = { lease_id: vend.body.lease_id ?? '' }
    t.equal((await two.must('PUT', 'sys/leases/lookup', { token, body: lease })).body.data?.['id'], lease.lease_id)
    await two.must('PUT', 'cubbyhole/x', { token, body: { a: 1 } })
    t.equal((await third.must('GET', 'cubbyhole/x', { token })).body.data?.['a'], 1)
    const wrapped = wrapOf(await one.must('GET', 'sys/mounts', { headers: { 'x-vault-wrap-ttl': '60' } }))
    t.equal((await two.ask('POST', 'sys/wrapping/unwrap', { token: wrapped.token })).status, 200)
    await two.must('PUT', 'sys/leases/revoke', { token, body: lease })
    t.equal((await one.ask('PUT', 'sys/leases/lookup', { body: lease })).status, 400)
  })

  t.test('SEC-093 a revoked token is refused everywhere with the answer, and after a restart', async (t) => {
    const tokens = await Promise.all(Array.from({ length: 20 }, async () =>
      authOf(await one.must('POST', 'auth/token/create', { body: { policies: ['default'] } })).client_token))
    for (const [i, token] of tokens.entries()) {
      for (const broker of all) t.equal((await look(broker, token)).status, 200)
      await (i % 2 === 0 ? one : two).must('POST', 'auth/token/revoke', { body: { token } })
      t.strictSame((await Promise.all(all.map((broker) => look(broker, token)))).map(({ status }) => status), [403, 403, 403])
    }
    await third.kill9()
    await third.restart()
    for (const token of tokens) t.equal((await look(third, token)).status, 403)
  })

  t.test('SEC-032 a policy that is narrowed holds at once where it was, and within a second on the others', async (t) => {
    const policy = (rule: string) => one.must('PUT', 'sys/policies/acl/narrow', { body: { policy: `path "sys/policies/acl/default" { capabilities = ["${rule}"] }` } })
    let worstMs = 0
    for (let round = 0; round < 3; round++) {
      await policy('read')
      const { client_token: token } = authOf(await one.must('POST', 'auth/token/create', { body: { policies: ['narrow'], no_default_policy: true } }))
      const reads = (broker: TestBroker) => broker.ask('GET', 'sys/policies/acl/default', { token })
      await until('all allow it', async () => (await Promise.all(all.map(reads))).every(({ status }) => status === 200), 5000)
      await policy('deny')
      t.equal((await reads(one)).status, 403)
      worstMs = Math.max(worstMs, await measure('all refuse it', async () => (await Promise.all(all.map(reads))).every(({ status }) => status === 403)))
      for (let i = 0; i < 20; i++) for (const broker of all) t.equal((await reads(broker)).status, 403, 'and never again')
    }
    t.comment(`the slowest broker followed after ${Math.round(worstMs)} ms`)
    t.ok(worstMs < boundMs)
  })

  t.test('a mount that was made or taken away on one is so on the others within a second', async (t) => {
    await one.must('POST', 'sys/mounts/fresh', { body: { type: 'aws' } })
    const lists = (broker: TestBroker) => broker.ask('GET', 'fresh/roles/x')
    t.ok(await measure('it is there', async () => (await lists(two)).text === '{"errors":[]}') < boundMs)
    await two.must('DELETE', 'sys/mounts/fresh')
    t.ok(await measure('it is gone', async () => (await lists(one)).text.includes('no handler')) < boundMs)
  })

  t.test('SEC-052 of 200 logins at once over two brokers as many succeed as the secret_id has uses', async (t) => {
    const role = await createRole(one, 'five', { token_policies: 'default' })
    const { secretId } = await role.secretId({ num_uses: 5 })
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => role.login(secretId, {}, i % 2 === 0 ? one : two)))
    t.strictSame(countByStatus(answers), { 200: 5, 400: 195 })
    t.equal((await one.ask('LIST', 'auth/approle/role/five/secret-id')).status, 404)
  })

  t.test('SEC-053 of 200 requests at once over two brokers as many are let in as the token has uses', async (t) => {
    const { client_token: token } = authOf(await one.must('POST', 'auth/token/create', { body: { policies: ['default'], num_uses: 5 } }))
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => look(i % 2 === 0 ? one : two, token)))
    t.strictSame(countByStatus(answers), { 200: 5, 403: 195 })
  })

  t.test('SEC-130 of 50 unwraps at once over two brokers one gets the answer', async (t) => {
    for (let round = 0; round < 5; round++) {
      const { token } = wrapOf(await one.must('POST', 'sys/wrapping/wrap', { body: { round }, headers: { 'x-vault-wrap-ttl': '60' } }))
      const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => {
        const broker = i % 2 === 0 ? one : two
        return i % 3 === 0 ? broker.ask('POST', 'sys/wrapping/unwrap', { body: { token } }) : broker.ask('POST', 'sys/wrapping/unwrap', { token })
      }))
      t.strictSame(countByStatus(answers), { 200: 1, 400: 49 })
      t.ok(answers.filter(({ status }) => status === 400).every(({ text }) => text === '{"errors":["wrapping token is not valid or does not exist"]}'))
    }
  })

  t.test('a token that is revoked while children and leases are made under it leaves none', async (t) => {
    for (let round = 0; round < 3; round++) {
      const parent = await one.tokenFor('path "auth/token/create" { capabilities = ["update"] }\npath "aws/creds/ec2-only" { capabilities = ["read"] }')
      await until('both know its policy', async () => (await two.ask('POST', 'auth/token/create', { token: parent.client_token, body: {} })).status === 200)
      let revoked = false
      const made: string[] = []
      const leases: string[] = []
      const work = all.slice(0, 2).flatMap((broker) => Array.from({ length: 4 }, async (_, i) => {
        for (let refused = false; !refused;) {
          const answer = i % 2 === 0
            ? await broker.ask('POST', 'auth/token/create', { token: parent.client_token, body: {} })
            : await broker.ask('GET', 'aws/creds/ec2-only', { token: parent.client_token })
          refused = answer.status !== 200
          if (!refused && answer.body.auth) made.push(answer.body.auth.client_token)
          else if (!refused) leases.push(answer.body.lease_id ?? '')
          else t.ok(revoked, answer.text)
        }
      }))
      await until('there is work', () => made.length > 10 && leases.length > 5)
      revoked = true
      await two.must('POST', 'auth/token/revoke', { body: { token: parent.client_token } })
      await Promise.all(work)
      const states = await Promise.all(made.map((token, i) => look(i % 2 === 0 ? one : two, token)))
      t.strictSame(countByStatus(states), { 403: made.length })
      const known = await Promise.all(leases.map((id) => one.ask('PUT', 'sys/leases/lookup', { body: { lease_id: id } })))
      t.strictSame(countByStatus(known), { 400: leases.length }, 'no lease of it is left')
    }
  })

  t.test('I1 every session of the trail is one that a broker shows, SEC-258 and both logs tell of everything', async (t) => {
    const { body } = await one.must('GET', 'sys/latchkey/sessions?limit=1000')
    const shown = new Set(([body.data?.['sessions']].flat() as { session_name: string }[]).map(({ session_name: name }) => name))
    const calls = emulator.trail({ eventName: 'AssumeRole', accountId: '444455556666' })
    t.strictSame(calls.filter(({ requestParameters }) => !shown.has(String(requestParameters?.['roleSessionName']))), [], `${calls.length} sessions`)
    for (const broker of [one, two]) t.strictSame(auditFaults(broker, [rootToken]), [])
  })

  t.test('FLT-014 when one is killed the other goes on, with all that it had answered', async (t) => {
    const { client_token: token } = authOf(await one.must('POST', 'auth/token/create', { body: { policies: ['default'] } }))
    const { client_token: dead } = authOf(await one.must('POST', 'auth/token/create', { body: { policies: ['default'] } }))
    await one.must('POST', 'auth/token/revoke', { body: { token: dead } })
    await one.kill9()
    t.equal((await look(two, token)).status, 200)
    t.equal((await look(two, dead)).status, 403)
  })
})
