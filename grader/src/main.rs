//! The program `grade`; everything it does is in the library.

fn main() -> std::process::ExitCode {
    grader::cli::main()
}
