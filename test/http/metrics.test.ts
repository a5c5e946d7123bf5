import t from 'tap'
import { rootToken, startBroker, textOf } from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'

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

t.test('SEC-222 metrics of rotations, alarms, leases and logins bear the mounts\' own paths, and nobody\'s name', async (t) => {
  const broker = await startBroker(t)
  await broker.must('POST', 'sys/mounts/quiet', { body: { type: 'kv' } })
  await broker.must('POST', 'sys/latchkey/rotation/quiet', { body: { stable_path: 'never', on_tripwire: 'revoke-token' } })
  const nameNow = async () => textOf(await broker.must('GET', 'sys/latchkey/resolve/quiet'), 'name')
  const names = [await nameNow()]
  await broker.ask('GET', `${names[0]}/x`)
  await broker.must('POST', 'sys/latchkey/rotation/quiet/rotate')
  names.push(await nameNow())
  await broker.ask('GET', `${names[0]}/x`)
  await broker.must('POST', 'sys/latchkey/rotation/quiet/rotate', { body: { grace: 0 } })
  const { client_token: token } = await broker.tokenFor('path "elsewhere" { capabilities = ["read"] }')
  await broker.ask('GET', `${names[1]}/x`, { token })
  await broker.ask('GET', `${names[1]}/x`, { token: null })
  await broker.ask('POST', 'auth/approle/login', { token: null, body: { role_id: 'nobody', secret_id: 'nothing' } })
  let text = ''
  await until('all was counted', async () => {
    text = (await broker.must('GET', 'sys/metrics?format=prometheus')).text
    return (text.match(/latchkey_tripwires_total\{/g) ?? []).length === 3
  })
  for (const line of [
    /^latchkey_rotations_total\{mount="quiet",cause="settings"\} 1$/m,
    /^latchkey_rotations_total\{mount="quiet",cause="manual"\} 2$/m,
    /^latchkey_rotation_slot\{mount="quiet"\} 3$/m,
    /^latchkey_rotation_timestamp_seconds\{mount="quiet"\} 1[0-9.]+$/m,
    /^latchkey_tripwires_total\{mount="quiet",grace="inside",reaction="none",known_client="true"\} 1$/m,
    /^latchkey_tripwires_total\{mount="quiet",grace="outside",reaction="revoke-token",known_client="false"\} 1$/m,
    /^latchkey_tripwires_total\{mount="quiet",grace="outside",reaction="webhook",known_client="false"\} 1$/m,
    /^latchkey_login_failures_total\{mount="auth\/approle"\} 1$/m,
    /^latchkey_name_looks_missed_total 0$/m
  ]) t.match(text, line)
  for (const name of names) t.notOk(text.includes(name))
  await broker.must('DELETE', 'sys/latchkey/rotation/quiet')
  t.notMatch((await broker.must('GET', 'sys/metrics?format=prometheus')).text, /latchkey_rotation_slot\{/)
})
