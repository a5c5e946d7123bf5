import { GetCallerIdentityCommand } from '@aws-sdk/client-sts'
import { connect } from 'node:net'
import t from 'tap'
import { createRandomSource, type RandomSource } from '../../src/emulator/state/random.ts'
import { allowAll, startBench, trust } from './helpers/start.ts'
import { post, signedHeaders } from './helpers/sign.ts'

// Seeded, so that a failure can be run again: FUZZ_SEED and FUZZ_ROUNDS change it.
const fuzzSeed = process.env['FUZZ_SEED'] ?? 'emulator'
const rounds = Number(process.env['FUZZ_ROUNDS'] ?? 1500)
t.setTimeout(120_000)

const home = '111122223333'
const seed = {
  accounts: [{
    id: home,
    users: [{ name: 'admin', accessKeys: [{}], policies: { all: allowAll } }, { name: 'nobody', accessKeys: [{}] }],
    roles: [{ name: 'R', trust: trust({ AWS: home }), policies: { all: allowAll } }]
  }]
}

function choices (random: RandomSource) {
  const below = (count: number) => Math.floor(random.fraction() * count)
  const pick = <T>(list: readonly T[], otherwise: T): T => list[below(list.length)] ?? otherwise
  return { below, pick }
}

const pieces = ['', 'x', '=', '&', '%', '%zz', '%00', '%ff%fe', '+', ';', ',', '/', '..', '<a>', ']]>', '"', '\\', '{}', '[', '-1', '1e9', '9'.repeat(40), 'é', '\u0001', '__proto__', 'constructor', '.member.1', 'Tags.member.1.Key', 'a'.repeat(3000), 'AWS4-HMAC-SHA256', 'Signature=', 'Credential=', 'arn:aws:iam::111122223333:role/R', 'arn:aws:iam::111122223333:role/../R', '*', '$', '${aws:userid}']

function mutate (text: string, random: RandomSource): string {
  const { below, pick } = choices(random)
  let result = text
  for (let i = below(4); i >= 0; i--) {
    const at = below(result.length + 1)
    const until = at + below(20)
    result = pick([
      result.slice(0, at) + pick(pieces, '') + result.slice(at),
      result.slice(0, at) + result.slice(until),
      result.slice(0, at) + pick(pieces, '') + result.slice(until),
      result.slice(0, at) + String.fromCharCode(32 + below(224)) + result.slice(at + 1)
    ], result)
  }
  return result
}

function exchange (port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes))
    let text = ''
    socket.setTimeout(5000, () => socket.destroy())
    socket.on('data', (chunk) => { text += chunk }).on('error', () => {}).on('close', () => resolve(text))
  })
}

/** A header without what a signature does not cover: white space around values and in front of names. */
function plain (name: string, value: string): string {
  if (name !== 'authorization') return value.trim().replaceAll(/ {2,}/g, ' ')
  const [algorithm = '', ...fields] = value.trim().split(/ +|,/).map((field) => field.trim()).filter((field) => field !== '')
  return [algorithm, ...fields.toSorted()].join(' ')
}

t.test(`changed requests never crash it and never authorise (${rounds} rounds, seed ${fuzzSeed})`, async (t) => {
  const { emulator, keysOf, sts } = await startBench(t, { seed })
  const random = createRandomSource(fuzzSeed)
  const { pick, below } = choices(random)
  const host = `127.0.0.1:${emulator.port}`
  const bodies = [
    'Action=GetCallerIdentity&Version=2011-06-15',
    `Action=AssumeRole&Version=2011-06-15&RoleArn=${encodeURIComponent(`arn:aws:iam::${home}:role/R`)}&RoleSessionName=run-1`
  ]
  const counts = { refused: 0, unchanged: 0, broken: 0 }
  for (let round = 0; round < rounds; round++) {
    const body = pick(bodies, '')
    const headers = signedHeaders({ method: 'POST', host, target: '/', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body }, keysOf('admin'), { service: 'sts', region: 'us-east-1', nowMs: Date.now() })
    const original = { ...headers }
    const names = Object.keys(headers)
    const where = below(names.length + 2)
    const victim = names[where]
    const sentBody = victim === undefined ? mutate(body, random) : body
    if (victim !== undefined) headers[victim] = mutate(headers[victim] ?? '', random).replaceAll(/[\r\n\0]/g, '')
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const answer = await exchange(emulator.port, Buffer.from(`POST / HTTP/1.1\r\n${lines}content-length: ${Buffer.byteLength(sentBody, 'latin1')}\r\nconnection: close\r\n\r\n${sentBody}`, 'latin1'))
    if (!answer.startsWith('HTTP/1.1 200')) {
      counts[answer.startsWith('HTTP/1.1 4') ? 'refused' : 'broken']++
      continue
    }
    const same = victim === undefined ? sentBody === body : plain(victim, headers[victim] ?? '') === plain(victim, original[victim] ?? '')
    if (!same) t.fail(`authorised after a change of ${victim ?? 'body'}`, { value: victim === undefined ? sentBody : headers[victim] })
    counts.unchanged++
  }
  t.ok(counts.refused > rounds * 0.8, JSON.stringify(counts))
  t.equal(counts.broken, 0, 'every answer is a 200 or a 4xx')
  await t.resolves(sts(keysOf('admin')).send(new GetCallerIdentityCommand({})), 'and it still works')
})

t.test('well signed nonsense is refused with a 4xx, and gives a caller without rights nothing', async (t) => {
  const { emulator, keysOf } = await startBench(t, { seed })
  const random = createRandomSource(`${fuzzSeed} parameters`)
  const { pick } = choices(random)
  const services: [string, string, string[]][] = [
    ['sts', '2011-06-15', ['AssumeRole', 'GetFederationToken', 'AssumeRoleWithWebIdentity', 'DecodeAuthorizationMessage', 'GetAccessKeyInfo', 'toString', '__proto__']],
    ['iam', '2010-05-08', ['CreateRole', 'PutRolePolicy', 'CreatePolicyVersion', 'ListUsers', 'TagRole', 'CreateAccessKey', 'constructor']],
    ['ec2', '2016-11-15', ['RunInstances', 'DescribeInstances', 'TerminateInstances', 'CreateTags', 'DescribeInstanceAttribute', 'DescribeImages', 'ModifyVolume', 'AssociateIamInstanceProfile', 'hasOwnProperty']]
  ]
  const parameters = ['RoleArn', 'RoleSessionName', 'Policy', 'Name', 'UserName', 'RoleName', 'PolicyName', 'PolicyDocument', 'AssumeRolePolicyDocument', 'PolicyArn', 'Tags.member.1.Key', 'Tags.member.1.Value', 'TransitiveTagKeys.member.1', 'DurationSeconds', 'MaxItems', 'Marker', 'InstanceId.1', 'ImageId', 'Filter.1.Name', 'Filter.1.Value.1', 'ResourceId.1', 'WebIdentityToken', 'EncodedMessage', 'AccessKeyId']
  for (let round = 0; round < rounds / 3; round++) {
    const [service, Version, actions] = pick(services, ['sts', '', []])
    const form: Record<string, string> = { Action: pick(actions, ''), Version }
    for (let i = 0; i < 5; i++) form[pick(parameters, 'x')] = mutate(pick(pieces, ''), random)
    const { status, text } = await post(emulator.endpoint, keysOf('nobody'), form, { service })
    if (status < 400 || status > 499) {
      const harmless = form['Action'] === 'GetAccessKeyInfo'
      t.ok(harmless, `${status} for ${JSON.stringify(form)}: ${text}`)
    }
  }
  t.pass(`${Math.floor(rounds / 3)} rounds`)
})
