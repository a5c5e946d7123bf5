import { readInvocation } from './args.ts'
import { commands } from './commands.ts'
import { codeOf, exitCodes, Failure } from './failure.ts'
import { helpOf, overview } from './help.ts'
import { processParts, type Parts } from './parts.ts'

/** What a shell says of a program that wrote where nobody reads. */
const brokenPipe = 141

const parts = processParts()
// Told by the promise of each write.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})
process.on('uncaughtException', (error) => { process.exit(codeOfEnd(error)) })
process.exitCode = await run(process.argv.slice(2), parts).catch(codeOfEnd)

async function run ([name, ...words]: readonly string[], parts: Parts): Promise<number> {
  const isHelp = name === '--help' || name === '-h' || name === 'help'
  if (isHelp && words[0] !== undefined) return run([words[0], '--help'], parts)
  if (name === undefined || isHelp) {
    await parts.screen.out(overview(commands))
    return name === undefined ? exitCodes.usage : 0
  }
  const command = commands.find((each) => each.name === name)
  if (command === undefined) throw new Failure('usage', 'there is no such command; see latchkey --help')
  const invocation = readInvocation(words, command)
  if (invocation.has('help')) {
    await parts.screen.out(helpOf(command))
    return 0
  }
  return await command.run(invocation, parts) ?? 0
}

/** Says why a command ended. Of what nobody expected it tells names and places, for messages may hold anything (SEC-338). */
function codeOfEnd (error: unknown): number {
  if (error instanceof Failure) {
    parts.screen.say(error.message)
    return exitCodes[error.kind]
  }
  if (codeOf(error) === 'EPIPE') return brokenPipe
  const place = error instanceof Error ? /\bat .*?([\w-]+\.ts:\d+)/.exec(error.stack ?? '')?.[1] : undefined
  parts.screen.say(`a defect: ${error instanceof Error ? error.name : typeof error} ${codeOf(error)} at ${place ?? 'an unknown place'}`)
  return exitCodes.failed
}
