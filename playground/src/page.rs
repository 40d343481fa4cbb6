//! The files of the page, which are part of the program.

/// A file of the page.
#[derive(Clone, Copy, Debug)]
pub struct PageFile {
    /// Its path in addresses.
    pub path: &'static str,
    /// What it is.
    pub media_type: &'static str,
    /// What it holds.
    pub bytes: &'static [u8],
}

macro_rules! page_files {
    ($($path:literal is $file:literal of $media_type:literal),+ $(,)?) => {
        &[$(PageFile { path: $path, media_type: $media_type, bytes: include_bytes!($file) }),+]
    };
}

/// All of them.
pub const PAGE_FILES: &[PageFile] = page_files![
    "/" is "../page/index.html" of "text/html; charset=utf-8",
    "/style.css" is "../page/style.css" of "text/css; charset=utf-8",
    "/icon.svg" is "../page/icon.svg" of "image/svg+xml",
    "/main.js" is "../page/main.js" of "text/javascript; charset=utf-8",
    "/address.js" is "../page/address.js" of "text/javascript; charset=utf-8",
    "/feed.js" is "../page/feed.js" of "text/javascript; charset=utf-8",
    "/colours.js" is "../page/colours.js" of "text/javascript; charset=utf-8",
    "/pictures.js" is "../page/pictures.js" of "text/javascript; charset=utf-8",
    "/controls.js" is "../page/controls.js" of "text/javascript; charset=utf-8",
    "/lanes.js" is "../page/lanes.js" of "text/javascript; charset=utf-8",
    "/exit_map.js" is "../page/exit_map.js" of "text/javascript; charset=utf-8",
    "/look.js" is "../page/look.js" of "text/javascript; charset=utf-8",
    "/chart.js" is "../page/chart.js" of "text/javascript; charset=utf-8",
    "/api/study" is "../assets/trade_off.json" of "application/json",
];
