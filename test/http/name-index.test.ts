import t from 'tap'
import { startBroker, textOf } from '../helpers/broker.ts'

const setting = 'sys/latchkey/secret-paths'

t.test('a mount of secret paths', async (t) => {
  const broker = await startBroker(t)
  await broker.must('POST', 'sys/mounts/secret-paths', { body: { type: 'kv', options: { version: '2' } } })
  await broker.must('POST', 'sys/mounts/ec2-only', { body: { type: 'kv' } })
  await broker.must('POST', 'sys/latchkey/rotation/ec2-only', { body: { prefix: 'secret1', stable_path: 'never', grace_period: 0 } })
  await broker.must('POST', 'sys/latchkey/rotation/auth/approle', { body: {} })
  const names = new Set<string>()
  const nameNow = async () => {
    const name = textOf(await broker.must('GET', 'sys/latchkey/resolve/ec2-only'), 'name')
    names.add(name)
    return name
  }
  const manager = (await broker.tokenFor('path "secret-paths/data/ec2-only" { capabilities = ["read"] }')).client_token

  t.test('is chosen with sudo alone, and has to be able to keep versions', async (t) => {
    t.equal((await broker.ask('GET', setting)).status, 404)
    const { client_token: token } = await broker.tokenFor(`path "${setting}" { capabilities = ["read", "update", "delete"] }`)
    for (const method of ['GET', 'POST', 'DELETE']) t.equal((await broker.ask(method, setting, { token })).status, 403, method)
    for (const mount of ['ec2-only', 'nowhere', 'sys', '', 'auth/approle']) {
      t.match(await broker.ask('POST', setting, { body: { mount } }), {
        status: 400, text: '{"errors":["mount names a kv mount of version 2 by its own path"]}'
      }, mount)
    }
    await broker.must('POST', setting, { body: { mount: 'secret-paths/' } })
    t.match((await broker.must('GET', setting)).body.data, { mount: 'secret-paths' })
  })

  t.test('a manager reads the present name there, from the answer of each rotation on', async (t) => {
    for (let slot = 1; slot <= 3; slot++) {
      const { data } = (await broker.must('GET', 'secret-paths/data/ec2-only', { token: manager })).body
      t.match(data, { data: { path: 'ec2-only', name: await nameNow(), slot, rotating: true }, metadata: { version: slot } })
      await broker.must('POST', 'sys/latchkey/rotation/ec2-only/rotate', { body: { expected_slot: slot } })
    }
    await nameNow()
    t.match((await broker.must('GET', 'secret-paths/data/auth/approle')).body.data, { data: { path: 'auth/approle', name: /^auth\/approle-/ } })
    t.equal((await broker.ask('GET', 'secret-paths/data/auth/approle', { token: manager })).status, 403, 'and no other')
  })

  t.test('SEC-222 names that were written are in no audit entry and in no log', async (t) => {
    const written = broker.auditText() + broker.output()
    t.equal(names.size, 4)
    for (const name of names) t.notOk(written.includes(name.slice('secret1'.length)))
  })

  t.test('removing the setting removes what was written', async (t) => {
    await broker.must('DELETE', setting)
    t.equal((await broker.ask('GET', 'secret-paths/data/ec2-only')).status, 404)
    t.equal((await broker.ask('GET', setting)).status, 404)
    await broker.must('DELETE', setting)
  })

  t.test('a start finds what a stop left undone', async (t) => {
    await broker.must('POST', setting, { body: { mount: 'secret-paths' } })
    await broker.kill9()
    await broker.restart()
    t.match((await broker.must('GET', 'secret-paths/data/ec2-only')).body.data, { data: { name: await nameNow() } })
  })
})
