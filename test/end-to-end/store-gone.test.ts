import t from 'tap'
import { auditFaults, authOf, countByStatus, createRole, startAws, startBroker, textOf, wrapOf } from '../helpers/broker.ts'
import { startRedis, until } from '../helpers/redis.ts'

/** How long an answer may take while the store is gone. */
const boundMs = 2500

t.test('a Redis that goes away', async (t) => {
  const redis = await startRedis(t)
  const emulator = await startAws(t)
  const broker = await startBroker(t, { store: redis.url, emulator })
  const role = await createRole(broker, 'r', { token_policies: ['default', 'ci-ec2-only'] })
  const { secretId } = await role.secretId({ num_uses: 50 })
  const { client_token: token } = authOf(await role.login(secretId))
  const { client_token: revoked } = authOf(await broker.must('POST', 'auth/token/create', { body: { policies: ['default'] } }))
  await broker.must('POST', 'auth/token/revoke', { body: { token: revoked } })
  const wrapped = wrapOf(await broker.must('POST', 'sys/wrapping/wrap', { body: { a: 1 }, headers: { 'x-vault-wrap-ttl': '600' } }))

  /** One request of each kind, and how long the slowest took. */
  async function askAll () {
    let slowestMs = 0
    const answers = await Promise.all([
      broker.ask('GET', 'auth/token/lookup-self', { token }), broker.ask('GET', 'aws/creds/ec2-only', { token }), role.login(secretId),
      broker.ask('POST', 'sys/wrapping/unwrap', { token: wrapped.token }), broker.ask('PUT', 'sys/policies/acl/x', { body: { policy: 'path "a" { capabilities = ["read"] }' } }),
      broker.ask('POST', 'auth/token/create', { body: {} }), broker.ask('GET', 'auth/token/lookup-self', { token: revoked })
    ].map(async (asked) => {
      const from = performance.now()
      const answer = await asked
      slowestMs = Math.max(slowestMs, performance.now() - from)
      return answer
    }))
    return { answers, slowestMs }
  }

  for (const how of ['stands still', 'is killed'] as const) {
    t.test(`FLT-025 FLT-068 while it ${how} nothing is served from memory, and nobody waits`, async (t) => {
      const calls = emulator.trail({ eventName: 'AssumeRole' }).length
      if (how === 'stands still') redis.process.kill('SIGSTOP')
      else await redis.kill()
      for (let round = 0; round < 2; round++) {
        const { answers, slowestMs } = await askAll()
        t.strictSame(countByStatus(answers), { 503: answers.length }, answers.map(({ text }) => text).join(' '))
        t.ok(slowestMs < boundMs, `the slowest took ${Math.round(slowestMs)} ms`)
        for (const { text } of answers) t.notMatch(text, /redis|127\.0\.0\.1|ECONN|timeout/i)
      }
      t.equal(emulator.trail({ eventName: 'AssumeRole' }).length, calls, 'STS was not asked')
      const from = performance.now()
      t.ok((await broker.ask('GET', 'sys/health', { token: null })).status >= 200)
      t.ok(performance.now() - from < 1000, 'health answers')

      if (how === 'stands still') redis.process.kill('SIGCONT')
      else await redis.restart()
      await until('it serves again', async () => (await broker.ask('GET', 'auth/token/lookup-self', { token })).status === 200)
      t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token: revoked })).status, 403)
      t.match(textOf(await broker.must('GET', 'aws/creds/ec2-only', { token }), 'access_key'), /^ASIA/)
    })
  }

  t.test('what was refused was not done twice, and the wrapped answer comes out at most once', async (t) => {
    const left = (await broker.must('POST', 'auth/approle/role/r/secret-id/lookup', { body: { secret_id: secretId } })).body.data?.['secret_id_num_uses']
    t.ok(Number(left) >= 45, `${String(left)} uses are left`)
    const unwraps = [await broker.ask('POST', 'sys/wrapping/unwrap', { token: wrapped.token }), await broker.ask('POST', 'sys/wrapping/unwrap', { token: wrapped.token })]
    t.ok(unwraps.filter(({ status }) => status === 200).length <= 1)
    t.strictSame(auditFaults(broker), [])
  })
})
