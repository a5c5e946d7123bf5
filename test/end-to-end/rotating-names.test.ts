import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { auditFaults, createFolder, startBroker, textOf, type TestBroker } from '../helpers/broker.ts'
import { startRedis, until } from '../helpers/redis.ts'

async function startTwo (t: Test) {
  const redis = await startRedis(t)
  const masterKeyFile = path.join(createFolder(t), 'master.key')
  writeFileSync(masterKeyFile, randomBytes(32), { mode: 0o600 })
  const shared = { store: redis.url, masterKeyFile }
  const one = await startBroker(t, shared)
  return [one, await startBroker(t, shared)] as const
}

const resolve = async (broker: TestBroker, mount: string) => {
  const answer = await broker.must('GET', `sys/latchkey/resolve/${mount}`)
  return { name: textOf(answer, 'name'), slot: Number(answer.body.data?.['slot']) }
}

t.test('two brokers on one Redis whose mounts rotate', async (t) => {
  const [one, two] = await startTwo(t)
  for (const mount of ['left', 'right']) {
    await one.must('POST', `sys/mounts/${mount}`, { body: { type: 'kv' } })
    await one.must('POST', `${mount}/who`, { body: { value: mount } })
    await one.must('POST', `sys/latchkey/rotation/${mount}`, { body: { stable_path: 'never', grace_period: '10m' } })
  }
  await until('both know', async () => (await two.ask('GET', 'sys/latchkey/resolve/right')).status === 200 && (await resolve(two, 'right')).slot === 1)

  t.test('SEC-225 clients of two mounts see every answer come from their own, and no refusal in grace, while names change', async (t) => {
    const names = new Map<string, string>()
    let stop = false
    let asked = 0
    const wrong: string[] = []
    const client = async (n: number) => {
      const mount = n % 2 === 0 ? 'left' : 'right'
      for (let round = 0; !stop; round++) {
        const broker = (n + round) % 3 === 0 ? one : two
        if (round % 5 === 0) names.set(mount, (await resolve(broker, mount)).name)
        const name = names.get(mount) ?? ''
        const answer = await (round % 2 === 0 ? one : two).ask('GET', `${name}/who`)
        asked++
        if (answer.status !== 200 || answer.body.data?.['value'] !== mount) wrong.push(`${answer.status} ${answer.text}`)
      }
    }
    const clients = Array.from({ length: 40 }, (_, n) => client(n))
    for (let n = 0; n < 20; n++) {
      const broker = n % 2 === 0 ? one : two
      await Promise.all(['left', 'right'].map((mount) => broker.must('POST', `sys/latchkey/rotation/${mount}/rotate`)))
    }
    stop = true
    await Promise.all(clients)
    t.strictSame(wrong, [])
    t.ok(asked > 100, String(asked))
    await until('both are in the same slot', async () => (await resolve(one, 'left')).slot === 21 && (await resolve(two, 'left')).slot === 21)
  })

  t.test('FLT-011 a broker that is killed while it rotates leaves names that are right for their slots', async (t) => {
    const seen = new Map<number, Set<string>>()
    const note = ({ name, slot }: { name: string, slot: number }) => seen.set(slot, (seen.get(slot) ?? new Set()).add(name))
    let killed = false
    const rotating = (async () => {
      while (!killed) await one.ask('POST', 'sys/latchkey/rotation/left/rotate', { body: { grace: 0 } }).catch(() => null)
    })()
    const watching = (async () => {
      while (!killed) note(await resolve(two, 'left'))
    })()
    await until('it rotates', () => seen.size > 3)
    await one.kill9()
    killed = true
    await Promise.all([rotating, watching])
    const before = await resolve(two, 'left')
    await two.must('POST', 'sys/latchkey/rotation/left/rotate', { body: {} })
    note(await resolve(two, 'left'))
    t.ok((await resolve(two, 'left')).slot > before.slot)
    await one.restart()
    note(await resolve(one, 'left'))
    t.ok([...seen.values()].every((names) => names.size === 1), 'a slot has one name')
    const { name } = await resolve(two, 'left')
    for (const broker of [one, two]) t.equal((await broker.must('GET', `${name}/who`)).body.data?.['value'], 'left')
    t.strictSame(auditFaults(two, [name]), [])
  })

  t.test('a client that waits at one broker hears of a rotation at the other', async (t) => {
    const known = textOf(await two.must('GET', 'sys/latchkey/resolve/right'), 'revision')
    const waiting = two.must('GET', `sys/latchkey/resolve/right?wait=30s&known=${known}`)
    await one.must('POST', 'sys/latchkey/rotation/right/rotate')
    t.equal(textOf(await waiting, 'name'), (await resolve(one, 'right')).name)
  })

  t.test('what clients of one broker did is known to the other\'s rehearsal', async () => {
    const { name } = await resolve(one, 'right')
    const { client_token: token, accessor } = await one.tokenFor('path "right/*" { capabilities = ["read"] }')
    await one.must('GET', `${name}/who`, { token })
    await until('it was shared', async () => {
      const { body } = await two.must('GET', 'sys/latchkey/rotation/right/rehearsal')
      return JSON.stringify(body.data?.['clients']).includes(accessor)
    })
  })

  t.test('the cost of a rotation does not grow with what the mount holds', async (t) => {
    const { name } = await resolve(two, 'right')
    const time = async () => {
      const from = performance.now()
      for (let n = 0; n < 10; n++) await two.must('POST', 'sys/latchkey/rotation/right/rotate')
      return performance.now() - from
    }
    const few = await time()
    for (let n = 0; n < 300; n += 50) await Promise.all(Array.from({ length: 50 }, (_, i) => two.must('POST', `${name}/k${n + i}`, { body: { a: 'b' } })))
    const many = await time()
    t.ok(many < few * 5 + 500, `${few.toFixed()} ms with one key, ${many.toFixed()} ms with 300`)
  })
})
