import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { auditFaults, authOf, countByStatus, createFolder, startBroker, textOf, type Answer, type TestBroker } from '../helpers/broker.ts'
import { startRedis, until } from '../helpers/redis.ts'

const scopes = 'sys/latchkey/scopes'

async function startTwo (t: Test) {
  const { url: store } = await startRedis(t)
  const masterKeyFile = path.join(createFolder(t), 'master.key')
  writeFileSync(masterKeyFile, randomBytes(32), { mode: 0o600 })
  return Promise.all([startBroker(t, { store, masterKeyFile }), startBroker(t, { store, masterKeyFile })])
}

t.test('scopes of two brokers on one Redis', async (t) => {
  const brokers = await startTwo(t)
  const [one, two] = brokers
  const make = (broker: TestBroker, name: string) => broker.ask('POST', `${scopes}/${name}`, {
    body: { mounts: { [name]: { version: 2 }, [`${name}-turns`]: { rotation: { stable_path: 'never' } } }, token_ttl: '1h' }
  })
  const pairOf = (made: Answer) => ({ token: null, body: { role_id: textOf(made, 'role_id'), secret_id: textOf(made, 'secret_id') } })
  const login = (broker: TestBroker, made: Answer) => broker.ask('POST', 'auth/approle/login', pairOf(made))
  const look = (broker: TestBroker, token: string) => broker.ask('GET', 'auth/token/lookup-self', { token })

  t.test('of eight callers at both at once one makes it, and all are told how it is', async (t) => {
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => make(n % 2 === 0 ? one : two, `race-${round}`)))
      t.equal(answers.filter(({ text }) => text.includes('"secret_id"')).length, 1)
      t.strictSame(answers.filter(({ status, text }) => status !== 200 && !text.includes('is being made')), [])
      const made = answers.find(({ text }) => text.includes('"secret_id"'))
      if (made === undefined) throw new Error('nobody made it')
      t.equal((await login(two, made)).status, 200)
      const ends = await Promise.all([one, two, one, two].map((broker) => broker.ask('DELETE', `${scopes}/race-${round}`)))
      t.strictSame(countByStatus(ends), { 204: 4 }, 'and all who remove it have it removed')
      t.strictSame(countByStatus(await Promise.all(brokers.map((broker) => login(broker, made)))), { 400: 2 })
    }
  })

  t.test('SEC-093 what one has removed is at an end on the other with the answer: logins and tokens; mounts within a second', async (t) => {
    const made = await make(one, 'ends')
    const tokens = await Promise.all(Array.from({ length: 40 }, async (_, n) => authOf(await login(n % 2 === 0 ? one : two, made)).client_token))
    await until('both serve it', async () => (await two.ask('PUT', 'ends/data/x', { token: tokens[0] ?? '', body: { data: { a: 1 } } })).status === 200)
    let stopped = false
    const late: string[] = []
    const clients = brokers.map(async (broker) => {
      while (!stopped) {
        const { status, body } = await login(broker, made)
        if (status === 200) late.push(body.auth?.client_token ?? '')
      }
    })
    await until('there are logins meanwhile', () => late.length > 10)
    t.equal((await two.ask('DELETE', `${scopes}/ends`)).status, 204)
    stopped = true
    const states = await Promise.all([...tokens, ...late].flatMap((token) => brokers.map((broker) => look(broker, token))))
    t.strictSame(countByStatus(states), { 403: states.length }, `${late.length} logins came meanwhile`)
    await Promise.all(clients)
    t.strictSame(countByStatus(await Promise.all(late.map((token) => look(one, token)))), { 403: late.length })
    t.strictSame(countByStatus(await Promise.all(brokers.map((broker) => login(broker, made)))), { 400: 2 })
    await until('its mount is gone on both', async () => (await Promise.all(brokers.map((broker) => broker.ask('GET', 'ends/data/x')))).every(({ text }) => text.includes('no handler')), 2000)
    t.equal((await make(one, 'ends')).status, 200, 'and the name is free')
    await one.must('DELETE', `${scopes}/ends`)
  })

  t.test('when the one that makes scopes is killed the other has none of them half', async (t) => {
    const names = Array.from({ length: 6 }, (_, n) => `killed-${n}`)
    const work = Promise.allSettled(names.map((name) => make(one, name)))
    await until('some are begun', async () => JSON.stringify((await two.ask('LIST', scopes)).body).includes('killed-'))
    await one.kill9()
    await work
    for (const name of names) {
      const { status, body } = await two.ask('GET', `${scopes}/${name}`)
      t.ok(status === 404 || ['making', 'made'].includes(String(body.data?.['state'])), `${name} ${status}`)
      t.equal((await two.ask('DELETE', `${scopes}/${name}`)).status, 204, 'nobody has to wait until it is due')
      t.equal((await make(two, name)).status, 200)
    }
  })

  t.test('SEC-258 the logs tell of all of it', async (t) => {
    t.strictSame(auditFaults(two), [])
  })
})
