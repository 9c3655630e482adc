//! `sshdrill report`: other renderings of a run that is over.

use super::args::RenderArgs;
use super::runs::read;
use super::{Exit, Stop};
use crate::report::Wanted;

/// Renders a JSON report in other forms.
pub(super) fn report(args: &RenderArgs) -> Result<Exit, Stop> {
    let record = read(&args.run)?;
    let wanted = Wanted {
        json: None,
        html: args.forms.html.clone(),
        markdown: args.forms.markdown.clone(),
        junit: args.forms.junit.clone(),
    };
    wanted
        .write(&record)
        .map_err(|error| Stop::unwritable(&error))?;
    Ok(Exit::AsExpected)
}
