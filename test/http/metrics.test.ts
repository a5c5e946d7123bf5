import t from 'tap'
import { rootToken, startBroker } from '../helpers/broker.ts'

t.test('metrics count what was done and what came of it, and name no caller\'s text (SEC-222)', async (t) => {
  const broker = await startBroker(t)
  t.match(await broker.ask('GET', 'sys/metrics?format=prometheus', { token: null }), { status: 403 }, 'not without a token')
  await broker.must('GET', 'sys/mounts')
  await broker.ask('GET', 'CNRYmount/x')
  const { status, text, headers } = await broker.must('GET', 'sys/metrics?format=prometheus')
  t.equal(status, 200)
  t.match(headers['content-type'], /^text\/plain; version=0\.0\.4/)
  t.equal(headers['cache-control'], 'no-store')
  t.match(text, /latchkey_requests_total\{mount_type="system",operation="read",outcome="ok"\} [1-9]/)
  t.match(text, /latchkey_requests_total\{mount_type="none",operation="read",outcome="(?:not_found|permission_denied)"\} [1-9]/)
  t.match(text, /# TYPE latchkey_connections gauge/)
  t.notMatch(text, /CNRY/)
})

t.test('metrics come as JSON without a format, and another format is refused in plain text', async (t) => {
  const broker = await startBroker(t)
  t.match(await broker.must('GET', 'sys/metrics'), { status: 200, headers: { 'content-type': 'application/json' } })
  t.match(await broker.ask('GET', 'sys/metrics?format=kit', { token: rootToken }), { status: 400, text: /kit/ })
})
