import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { at, send, textAt, type Answer, type Body } from '../../../src/demo/client.ts'
import { startOwnBroker } from '../../../src/demo/own-broker.ts'
import type { Step } from '../../../src/demo/steps.ts'
import { listen } from './events.ts'
import { startRecorder } from './recorder.ts'
import type { Flavour, Persona, Run, Runs, Variables } from './runs.ts'
import { prefix, roles, scope } from './wanted.ts'

/** What the configurations sent to the broker, by the run that sent it. */
export type Recording = Readonly<Record<string, readonly string[]>>

export interface StoryOptions {
  readonly flavour: Flavour
  /** Makes what runs the configurations, against a broker and the AWS beside it. */
  readonly createRuns: (at: { readonly broker: string, readonly aws: string }) => Promise<Runs>
  readonly step: Step
}

const nameForm = new RegExp(`^${prefix}[0-9a-v]{26}$`)
const adminSecret = { break_glass: randomBytes(12).toString('hex') }
const secret = { user: 'deploy', password: randomBytes(12).toString('hex') }

/** Plays policy-admin, manager and operator on a broker of its own, before and after a rotation. */
export async function playStory (options: StoryOptions): Promise<Recording> {
  const broker = await startOwnBroker({ logLevel: 'error' })
  try {
    const recorder = await startRecorder(broker.address)
    try {
      const ask = (method: string, target: string, token: string | null, body?: Body) =>
        send(broker.address, method, { target, token, body })
      const aws = textAt(await ask('GET', 'aws/config/root', broker.rootToken), 'data', 'sts_endpoint')
      const runs = await options.createRuns({ broker: recorder.address, aws })
      try {
        const { address, rootToken } = broker
        return await play({ ...options, runs, ask, take: recorder.take, address, rootToken })
      } finally {
        await runs.close()
      }
    } finally {
      await recorder.close()
    }
  } finally {
    const code = await broker.stop()
    options.step('the broker stops when told to', code === 0, `exit code ${String(code)}`)
  }
}

type Ask = (method: string, target: string, token: string | null, body?: Body) => Promise<Answer>

interface Stage extends StoryOptions {
  readonly runs: Runs
  readonly ask: Ask
  readonly take: () => string[]
  readonly address: string
  readonly rootToken: string
}

async function play (stage: Stage): Promise<Recording> {
  const { flavour, step, ask, runs } = stage
  const recording: Record<string, readonly string[]> = {}
  const run = async (label: string, command: 'plan' | 'apply', persona: Persona, variables: Variables): Promise<Run> => {
    const ended = await runs[command](persona, variables)
    recording[label] = stage.take()
    return ended
  }
  const admin = { token: await makeToken(stage, 'policy-admin', readPolicy('policy-admin')), admin_secret: adminSecret }

  if (flavour === 'http') {
    const refused = await run('policy-admin, mounts missing', 'plan', 'policy-admin', admin)
    step('policy-admin: a mount that is missing is not made by the way', !refused.ok && refused.error.includes('new_mounts'), refused.ok ? 'made' : 'refused')
  }
  const first = flavour === 'http' ? { ...admin, new_mounts: true, hand_out: roles } : admin
  const made = await run('policy-admin', 'apply', 'policy-admin', first)
  step('policy-admin: three mounts, two roles and a rotation', made.ok, told(made, 'applied'))
  if (flavour === 'http') {
    const cleared = await run('policy-admin, nothing to hand out', 'apply', 'policy-admin', admin)
    step('policy-admin: a run that hands nothing out has no wrapping tokens', cleared.ok && isEmpty(cleared.outputs['hand_over']), told(cleared, 'applied'))
  }
  const second = await run('policy-admin, second plan', 'plan', 'policy-admin', admin)
  step('policy-admin: a second plan has nothing to do', second.ok && !second.changes, told(second, 'no changes'))

  const manager = await unwrap(stage, made, 'manager')
  const operator = await unwrap(stage, made, 'operator')
  await lookAround(stage, manager, operator)

  const wrote = await run('manager', 'apply', 'manager', { ...manager, secret })
  const name = textOf(wrote.outputs['secret_name'])
  step('manager: writes the operators\' secret, and learns where they find it', nameForm.test(name), told(wrote, `${prefix} and 26 more characters`))
  const worked = await run('operator, name from the manager', 'apply', 'operator', { ...operator, secret_name: name })
  step('operator: reads it by that name, and works in AWS', isAtWork(worked), told(worked, `account ${textOf(worked.outputs['account'])}`))

  const watcher = await makeToken(stage, 'watcher', 'path "sys/events" { capabilities = ["read"] }')
  const events = await listen(stage.address, watcher, 'rotation,tripwire')
  try {
    const rotated = await ask('POST', `sys/latchkey/rotation/${scope}/rotate`, admin.token, { expected_slot: 1, grace: 0 })
    step('the name rotates, without grace', rotated.status === 200, `slot ${String(at(rotated.body, 'data', 'slot'))}`)

    const stale = await run('operator, old name', 'apply', 'operator', { ...operator, secret_name: name })
    step('operator: a run with the old name fails', !stale.ok, /40[34]/.exec(stale.error)?.[0] ?? stale.error)
    await compareWithUnknown(stage, operator, name)
    const event = await events.find(({ type, grace }) => type === 'tripwire' && grace === 'outside')
    step('its use raised an alarm', event?.['role'] === `${scope}-operator` && event['mount'] === scope,
      `${String(event?.['role'])} used a name of ${String(event?.['mount'])} from ${String(event?.['slots_ago'])} rotation ago`)
  } finally {
    events.close()
  }

  const next = await run('operator, asks for the name', 'apply', 'operator', operator)
  step('operator: the next run asks for the name, and works', isAtWork(next), told(next, `account ${textOf(next.outputs['account'])}`))
  const again = await run('manager, after the rotation', 'apply', 'manager', { ...manager, secret })
  const newName = textOf(again.outputs['secret_name'])
  step('manager: the next run tells the new name', nameForm.test(newName) && newName !== name, told(again, 'another name'))
  const handed = await run('operator, new name from the manager', 'apply', 'operator', { ...operator, secret_name: newName })
  step('operator: that name works', isAtWork(handed), told(handed, `account ${textOf(handed.outputs['account'])}`))
  const held = await ask('GET', `${newName}/data/deploy`, stage.rootToken)
  step('the secret is still its first version', at(held.body, 'data', 'metadata', 'version') === 1, `version ${String(at(held.body, 'data', 'metadata', 'version'))}`)
  const last = await run('policy-admin, after the rotation', 'plan', 'policy-admin', admin)
  step('policy-admin: a plan after the rotation has nothing to do', last.ok && !last.changes, told(last, 'no changes'))
  await lookAtStates(stage, { admin: admin.token, manager: manager.secret_id, operator: operator.secret_id })
  return recording
}

const readPolicy = (name: string) => readFileSync(path.join(import.meta.dirname, `../../policies/${name}.hcl`), 'utf8')

async function makeToken ({ ask, rootToken }: Stage, name: string, policy: string): Promise<string> {
  await ask('POST', `sys/policies/acl/${name}`, rootToken, { policy })
  return textAt(await ask('POST', 'auth/token/create', rootToken, { policies: [name], ttl: '30m' }), 'auth', 'client_token')
}

interface Login extends Variables { readonly role_id: string, readonly secret_id: string }

/** What whoever starts a run does with what the policy-admin handed over. */
async function unwrap ({ ask, step }: Stage, { outputs }: Run, role: string): Promise<Login> {
  const handed = at(outputs, 'hand_over', role)
  const token = textOf(at({ handed }, 'handed', 'wrapping_token'))
  const answer = await ask('POST', 'sys/wrapping/unwrap', token)
  const again = await ask('POST', 'sys/wrapping/unwrap', token)
  step(`${role}: the secret_id comes wrapped, and opens once`, answer.status === 200 && again.status === 400, `${answer.status}, then ${again.status}`)
  return { role_id: textOf(at({ handed }, 'handed', 'role_id')), secret_id: textAt(answer, 'data', 'secret_id') }
}

async function logIn ({ ask }: Stage, login: Login): Promise<string> {
  return textAt(await ask('POST', 'auth/approle/login', null, { ...login }), 'auth', 'client_token')
}

/** Holds each role to its own path. */
async function lookAround (stage: Stage, manager: Login, operator: Login): Promise<void> {
  const places = ['admin-secrets/data/ec2-only', 'secret-paths/data/other', 'sys/latchkey/secret-paths', 'aws/creds/other']
  const beyond = { manager: [...places, 'aws/creds/ec2-only'], operator: [...places, 'secret-paths/data/ec2-only'] }
  for (const [role, login] of [['manager', manager], ['operator', operator]] as const) {
    const token = await logIn(stage, login)
    const answers = await Promise.all(beyond[role].map((place) => stage.ask('GET', place, token)))
    stage.step(`${role}: what is not its own is refused`, answers.every(({ status }) => status === 403), `${answers.length} paths`)
  }
  const { status } = await stage.ask('GET', `${scope}/data/deploy`, await logIn(stage, operator))
  stage.step('operator: nothing answers at the own path of its mount', status === 404, String(status))
}

/** A retired name has to answer as one that never was. */
async function compareWithUnknown (stage: Stage, operator: Login, name: string): Promise<void> {
  const token = await logIn(stage, operator)
  const unknown = `${prefix}${randomBytes(13).toString('hex')}`
  const [retired, never] = await Promise.all([name, unknown].map((each) => stage.ask('GET', `${each}/data/deploy`, token)))
  const same = retired?.status === never?.status && JSON.stringify(retired?.body) === JSON.stringify(never?.body)
  stage.step('it answers as a name that never was', same && retired?.status === 403, `${String(retired?.status)} and ${String(never?.status)}`)
}

/** What README.md says of the states. */
async function lookAtStates (
  { flavour, runs, step }: Stage, secrets: Readonly<Record<'admin' | 'manager' | 'operator', string>>
): Promise<void> {
  const personas = ['policy-admin', 'manager', 'operator'] as const
  const states = await Promise.all(personas.map((persona) => runs.state(persona)))
  if (states.includes(null)) return
  const [admin = '', manager = '', operator = ''] = states
  const found = [
    admin?.includes(secrets.admin), admin?.includes(adminSecret.break_glass),
    manager?.includes(secrets.manager), manager?.includes(secret.password),
    operator?.includes(secrets.operator), operator?.includes(secret.password), operator?.includes('ASIA')
  ]
  const expected = flavour === 'http'
  const what = expected ? 'tokens, secret_ids and secrets stand in the states, as README.md says' : 'no token, secret_id, secret or AWS key stands in a state'
  step(what, found.every((is) => is === expected), `${found.filter(Boolean).length} of ${found.length} found`)
}

const isAtWork = ({ ok, outputs }: Run) => ok && outputs['account'] === '444455556666'
const isEmpty = (value: unknown) => typeof value === 'object' && value !== null && Object.keys(value).length === 0
const textOf = (value: unknown) => typeof value === 'string' ? value : ''
/** The detail of a step, or why its run failed. */
const told = ({ ok, error }: Run, detail: string) => ok ? detail : error.slice(0, 600)
