import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { DurationError, parseSeconds } from '../core/duration.ts'
import type { Invocation } from './args.ts'
import { readRegion, regionVariables } from './aws.ts'
import { childEnvironment, otherSources, runChild, takeSignals, type Signals } from './child.ts'
import { openCredentialServer, type CredentialServer } from './credential-server.ts'
import { readWanted } from './credentials.ts'
import { shellText, type Variables } from './environment.ts'
import { codeOf, Failure } from './failure.ts'
import type { Parts } from './parts.ts'
import { draftPrivateFile } from './private-file.ts'
import { sayHidingProfile } from './profiles.ts'
import { openBroker } from './session.ts'
import { openSinks } from './sinks.ts'
import { sayWrongClock } from './skew.ts'
import { openUpkeep, type Upkeep, type UpkeepOptions } from './upkeep.ts'

/** `latchkey sidecar`: serves credentials to AWS's clients on this machine, and keeps them fresh. */
export async function runSidecar (invocation: Invocation, parts: Parts): Promise<number> {
  const role = invocation.text('role')
  if (role === null) throw new Failure('usage', 'sidecar needs a --role')
  const isOnce = invocation.has('once')
  if (isOnce && (invocation.list('sink').length === 0 || invocation.child.length > 0)) {
    throw new Failure('usage', '--once writes the files of --sink, and runs no command')
  }
  const region = readRegion(invocation)
  const signals = takeSignals(parts.screen, (code) => process.exit(code))
  try {
    const options = {
      invocation,
      parts,
      wanted: readWanted(invocation, role),
      checkMs: readCheckMs(invocation),
      sinks: await openSinks(invocation.text('sink-folder'), invocation.list('sink'), parts),
      broker: await openBroker(invocation, parts),
      stopped: signals.stopped
    }
    return isOnce ? await writeOnce(options) : await serve(options, signals, regionVariables(region))
  } finally {
    signals.close()
  }
}

function readCheckMs (invocation: Invocation): number {
  try {
    const seconds = parseSeconds(invocation.text('check-interval') ?? 10)
    if (seconds >= 1 && seconds <= 3600) return seconds * 1000
  } catch (error) {
    if (!(error instanceof DurationError)) throw error
  }
  throw new Failure('usage', '--check-interval is a duration from 1s to 1h')
}

/** What was written stays, and so do the token and the lease behind it. */
async function writeOnce (options: UpkeepOptions): Promise<number> {
  const upkeep = await openUpkeep(options)
  sayWrongClock(options.broker.client, options.parts.screen)
  if (await options.sinks.settle()) return 0
  await upkeep.end()
  throw new Failure('failed', 'the files of --sink could not be written')
}

async function serve (options: UpkeepOptions, signals: Signals, region: Variables): Promise<number> {
  const { invocation, parts } = options
  const authorization = randomBytes(32).toString('base64url')
  parts.screen.hide(authorization)
  const ended = new AbortController()
  const place = await openAuthorizationFile(invocation, parts)
  let server: CredentialServer | null = null
  let upkeep: Upkeep | null = null
  try {
    server = await openCredentialServer({
      listen: invocation.text('listen') ?? '127.0.0.1:0',
      authorization,
      give: async () => upkeep === null ? null : upkeep.keeper.give(),
      parts
    })
    upkeep = await openUpkeep(options)
    await options.sinks.settle()
    await place.write(authorization)
    sayWrongClock(options.broker.client, parts.screen)
    await sayHidingProfile(parts)
    const variables: Variables = [['AWS_CONTAINER_CREDENTIALS_FULL_URI', server.url], ['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE', place.file], ...region]
    const upkept = upkeep.run(ended.signal)
    return await Promise.race([use(options, signals, variables), upkept.then(() => 0)])
  } finally {
    ended.abort()
    await server?.close()
    await place.remove()
    await upkeep?.end()
  }
}

/** Runs the command, or tells what to export and waits until it is stopped. Answers the exit code. */
async function use ({ invocation, parts }: UpkeepOptions, signals: Signals, variables: Variables): Promise<number> {
  const { stopped } = signals
  if (invocation.child.length > 0 && !stopped.aborted) {
    return runChild(invocation.child, childEnvironment(parts.env, variables, true), signals, parts.screen)
  }
  if (!stopped.aborted) {
    const hiding = [...otherSources].filter((name) => !variables.some(([own]) => own === name))
    await parts.screen.out(`unset ${hiding.join(' ')}\n${shellText(variables)}`)
  }
  await new Promise<void>((resolve) => {
    if (stopped.aborted) resolve()
    else stopped.addEventListener('abort', () => resolve(), { once: true })
  })
  return 0
}

/**
 * The file with what callers have to show. It is begun before anything is made, and there only when
 * there is something to give. It has no line's end: AWS's clients send all of it.
 */
async function openAuthorizationFile (invocation: Invocation, { env }: Parts) {
  const given = invocation.text('authorization-file')
  const folder = given === null ? await makeFolder(env) : null
  const file = path.resolve(folder === null ? given ?? '' : path.join(folder, 'authorization'))
  const draft = await draftPrivateFile(file)
  let isWritten = false
  return {
    file,
    async write (text: string) {
      isWritten = true
      await draft.commit(text)
    },
    async remove () {
      if (!isWritten) await draft.discard()
      await rm(file, { force: true })
      if (folder !== null) await rm(folder, { recursive: true, force: true })
    }
  }
}

/** A folder of our own, 0700: among those of a login, where that has one, else among temporary files. */
async function makeFolder (env: Parts['env']): Promise<string> {
  const make = (parent: string) => mkdtemp(path.join(parent, 'latchkey-'))
  const runtime = env['XDG_RUNTIME_DIR'] || tmpdir()
  try {
    return await make(runtime).catch(() => make(tmpdir()))
  } catch (error) {
    throw new Failure('usage', `there is no place for the file of the authorization (${codeOf(error)}): name one by --authorization-file`, { cause: error })
  }
}
