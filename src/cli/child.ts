import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import type { Variables } from './environment.ts'
import { codeOf } from './failure.ts'
import type { Parts } from './parts.ts'
import type { Screen } from './screen.ts'

/** Signals that somebody may send to end or nudge a command. */
const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const

/** Signals to this process, from now until `close`. */
export interface Signals {
  /** Aborted by the first signal that is to end us; its reason is the exit code. */
  readonly stopped: AbortSignal
  /** From now on they go to a child; null: they stop us again. */
  passTo (child: ChildProcess | null): void
  close (): void
}

/** How long we may take to stop by ourselves. */
const stopMs = 10_000

/** Takes signals over. One that is to stop us and comes twice, or takes too long, ends this process at once. */
export function takeSignals ({ say }: Pick<Screen, 'say'>, exit: (code: number) => void): Signals {
  const stop = new AbortController()
  let target: ChildProcess | null = null
  const take = (signal: NodeJS.Signals) => {
    if (target !== null) {
      if (!comesFromTerminal(signal)) target.kill(signal)
    } else if (signal !== 'SIGUSR1' && signal !== 'SIGUSR2') {
      if (stop.signal.aborted) exit(exitCodeOf(signal))
      stop.abort(exitCodeOf(signal))
      say('stopping')
      setTimeout(() => exit(exitCodeOf(signal)), stopMs).unref()
    }
  }
  for (const signal of passedOn) process.on(signal, take)
  return {
    stopped: stop.signal,
    passTo (child) { target = child },
    close () { for (const signal of passedOn) process.off(signal, take) }
  }
}

/**
 * Whether a signal of the keyboard came from there: then it went to the child as well, and passing it on
 * would tell it twice, which some programs take for "at once". So it is where we are in the foreground of a terminal.
 */
function comesFromTerminal (signal: NodeJS.Signals): boolean {
  if (signal !== 'SIGINT' && signal !== 'SIGQUIT') return false
  // proc(5): pid (comm) state ppid pgrp session tty_nr tpgid …
  const fields = readFileSync('/proc/self/stat', 'utf8').replace(/^.*\) /s, '').split(' ')
  return fields[2] === fields[5]
}

/** What a shell says of a process that a signal ended. */
export function exitCodeOf (signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

/** Runs a command with our standard input and outputs, and answers its exit code as a shell would. */
export async function runChild (
  [program = '', ...words]: readonly string[], env: NodeJS.ProcessEnv, signals: Signals, { say }: Pick<Screen, 'say'>
): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(program, words, { stdio: 'inherit', env })
    signals.passTo(child)
    const end = (code: number) => {
      signals.passTo(null)
      resolve(code)
    }
    child.on('error', (error) => {
      if (child.pid !== undefined) return
      const isMissing = codeOf(error) === 'ENOENT'
      say(isMissing ? 'there is no such command' : `the command cannot be run: ${codeOf(error)}`)
      end(isMissing ? 127 : 126)
    })
    child.on('close', (code, signal) => { if (child.pid !== undefined) end(signal === null ? code ?? 0 : exitCodeOf(signal)) })
  })
}

/** Where AWS's clients would look before, or besides, what we give. */
export const otherSources: ReadonlySet<string> = new Set([
  'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_SECURITY_TOKEN', 'AWS_CREDENTIAL_EXPIRATION', 'AWS_PROFILE',
  'AWS_DEFAULT_PROFILE', 'AWS_ROLE_ARN', 'AWS_ROLE_SESSION_NAME', 'AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI', 'AWS_CONTAINER_AUTHORIZATION_TOKEN', 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'
])

/** What we log in with is nothing for a child, which has what we give. */
const ourSecrets: ReadonlySet<string> = new Set(['LATCHKEY_TOKEN', 'LATCHKEY_ROLE_ID', 'LATCHKEY_SECRET_ID'])

/** The environment of a child: ours, with these variables, and without what would hide them and our own secrets. */
export function childEnvironment (env: Parts['env'], variables: Variables, givesAws: boolean): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !ourSecrets.has(name) && !(givesAws && otherSources.has(name)))
  return { ...Object.fromEntries(kept), ...Object.fromEntries(variables) }
}
