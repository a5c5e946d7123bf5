import t from 'tap'
import { auditFaults, rootToken, startBroker } from '../helpers/broker.ts'

t.test('status without a token', async (t) => {
  const broker = await startBroker(t)

  t.test('SEC-238 health says how the broker is, and nothing about what it keeps or where it runs', async (t) => {
    const { body } = await broker.must('GET', 'sys/health', { token: null })
    t.match(body, { initialized: true, sealed: false, standby: false })
    const allowed = new Set(['initialized', 'sealed', 'standby', 'performance_standby', 'replication_performance_mode', 'replication_dr_mode', 'server_time_utc', 'version', 'cluster_name', 'cluster_id', 'degraded', 'warnings'])
    t.strictSame(Object.keys(body).filter((name) => !allowed.has(name)), [])
    t.notMatch(JSON.stringify(body), new RegExp(`${broker.folder}|127\\.0\\.0\\.1|node|${process.pid}`))
    t.strictSame((await broker.must('GET', 'sys/health')).body, { ...body, server_time_utc: (await broker.must('GET', 'sys/health')).body['server_time_utc'] })
  })

  t.test('SEC-239 codes in the query are whole numbers from 200 to 599, and nothing is repeated', async (t) => {
    for (const code of [200, 299, 404, 599]) t.equal((await broker.ask('GET', `sys/health?activecode=${code}`, { token: null })).status, code)
    for (const code of ['100', '199', '600', '0', '-200', '2e2', '200.0', '%3Cscript%3E', '', 'NaN', '9999999999', '0x1F4', ' 200']) {
      const answer = await broker.ask('GET', `sys/health?activecode=${encodeURIComponent(decodeURIComponent(code))}`, { token: null })
      t.strictSame([answer.status, answer.text], [400, '{"errors":[]}'], code)
    }
    t.equal((await broker.ask('HEAD', 'sys/health?standbycode=299&sealedcode=299&uninitcode=299', { token: null })).status, 200)
  })

  t.test('SEC-233 an initialised broker is not initialised again, nor unsealed into anything', async (t) => {
    for (const method of ['PUT', 'POST']) {
      t.match(await broker.ask(method, 'sys/init', { token: null, body: { secret_shares: 1, secret_threshold: 1 } }), { status: 400, text: /already initialized/ })
    }
    t.strictSame((await broker.must('GET', 'sys/init', { token: null })).body, { initialized: true })
    t.match((await broker.must('PUT', 'sys/unseal', { token: null, body: { key: 'abcd' } })).body, { sealed: false, progress: 0 })
    t.equal((await broker.ask('PUT', 'sys/unseal', { token: null, body: { key: ['a'] } })).status, 400)
    t.equal((await broker.ask('PUT', 'sys/unseal', { token: null, body: `{"key":"${'a'.repeat(100_000)}"}` })).status, 400)
  })

  t.test('SEC-240 SEC-241 SEC-035 status routes have no other methods, no cross-origin headers and no redirects', async (t) => {
    for (const route of ['health', 'seal-status', 'leader', 'init', 'unseal']) {
      for (const method of ['DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'LIST', 'QUERY']) {
        const answer = await broker.ask(method, `sys/${route}`, { token: rootToken, headers: { origin: 'https://evil.example' } })
        t.ok([400, 404, 405].includes(answer.status), `${method} ${route} is ${answer.status}`)
        t.strictSame(Object.keys(answer.headers).filter((name) => /^access-control|^location$|^server$|^x-powered-by$/.test(name)), [])
      }
    }
  })

  t.test('SEC-258 status routes are counted, not audited', async (t) => {
    const paths = broker.audit().map(({ request }) => request.path)
    t.notOk(paths.includes('sys/health'))
    t.strictSame(auditFaults(broker), [])
  })
})
